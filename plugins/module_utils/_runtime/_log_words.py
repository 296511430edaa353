# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words by which PostgreSQL and the C library name severities and faults, by language of ``lc_messages``.

Languages that leave a word in English (Japanese and Spanish most severities) need no entry for it. A phrase is the
longest part of the message that no value interrupts.
"""
# ruff: noqa: RUF001  (letters of other alphabets are the point here)
from __future__ import annotations

from typing import Dict, Tuple

SEVERITIES: Dict[str, Tuple[str, ...]] = {
    "FATAL": ("FATAL", "ВАЖНО", "致命错误", "FATALE", "치명적오류", "FATALT", "ФАТАЛЬНО", "ფატალური", "KATASTROFALNY",
              "FATÁLNÍ"),
    "PANIC": ("PANIC", "PANIK", "PÂNICO", "PÁNICO", "ПАНИКА", "比致命错误还过分的错误", "PANICO", "손상", "ПАНІКА",
              "პანიკა", "PANIKA"),
    "ERROR": ("ERROR", "FEHLER", "ERREUR", "ERRO", "ОШИБКА", "错误", "ERRORE", "오류", "FEL", "ПОМИЛКА", "შეცდომა",
              "BŁĄD", "CHYBA", "HATA"),
    "LOG": ("LOG", "СООБЩЕНИЕ", "日志", "로그", "LOGG", "ЗАПИСУВАННЯ", "ჟურნალი", "DZIENNIK"),
    "WARNING": ("WARNING", "WARNUNG", "ATTENTION", "ADVERTENCIA", "AVISO", "ПРЕДУПРЕЖДЕНИЕ", "警告", "ATTENZIONE",
                "경고", "VARNING", "ПОПЕРЕДЖЕННЯ", "გაფრთხილება", "OSTRZEŻENIE", "VAROVÁNÍ", "UYARI"),
    "NOTICE": ("NOTICE", "HINWEIS", "NOTA", "ЗАМЕЧАНИЕ", "注意", "NOTIFICA", "알림", "NOTIS", "ПОВІДОМЛЕННЯ"),
    "INFO": ("INFO", "ИНФОРМАЦИЯ", "信息", "정보", "ІНФОРМАЦІЯ"),
    "DEBUG": ("DEBUG", "DEBUG1", "DEBUG2", "DEBUG3", "DEBUG4", "DEBUG5", "ОТЛАДКА", "调试", "디버그", "НАЛАГОДЖЕННЯ"),
}

PARTS: Dict[str, Tuple[str, ...]] = {
    "DETAIL": ("DETAIL", "DÉTAIL", "DETALLE", "DETALHE", "ПОДРОБНОСТИ", "詳細", "详细信息", "DETTAGLI", "상세정보",
               "DETALJ", "ВІДОМОСТІ"),
    "HINT": ("HINT", "TIPP", "ASTUCE", "SUGERENCIA", "DICA", "ПОДСКАЗКА", "ヒント", "提示", "SUGGERIMENTO", "힌트",
             "TIPS", "УКАЗІВКА"),
    "CONTEXT": ("CONTEXT", "ZUSAMMENHANG", "CONTEXTE", "CONTEXTO", "КОНТЕКСТ", "文脈", "上下文", "CONTESTO", "내용",
                "KONTEXT"),
    "STATEMENT": ("STATEMENT", "ANWEISUNG", "INSTRUCTION", "SENTENCIA", "COMANDO", "ОПЕРАТОР", "文", "语句",
                  "ISTRUZIONE", "명령 구문", "SATS", "ІНСТРУКЦІЯ"),
    "QUERY": ("QUERY", "ANFRAGE", "REQUÊTE", "CONSULTA", "ЗАПРОС", "問い合わせ", "查询", "쿼리", "FRÅGA", "ЗАПИТ"),
    "LOCATION": ("LOCATION", "ORT", "EMPLACEMENT", "UBICACIÓN", "LOCAL", "ПОЛОЖЕНИЕ", "場所", "位置"),
    "BACKTRACE": ("BACKTRACE",),
}

# strerror() of the GNU C library (and musl's English): de fr es pt_BR pt ru ja zh_CN it ko sv uk
NO_SPACE = (
    "No space left on device", "Auf dem Gerät ist kein Speicherplatz mehr verfügbar",
    "Aucun espace disponible sur le périphérique", "No queda espacio en el dispositivo",
    "Não há espaço disponível no dispositivo", "Sem espaço livre no dispositivo",
    "На устройстве не осталось свободного места", "デバイスに空き領域がありません", "设备上没有空间",
    "Spazio esaurito sul device", "장치에 남은 공간이 없음", "Enheten är full", "Недостатньо місця на пристрої",
    "Disk quota exceeded", "Quota exceeded", "Der zugewiesene Plattenplatz (Quota) ist überschritten",
    "Débordement du quota d'espace disque", "Se ha excedido la cuota de disco", "Cota da disco excedida",
    "Quota do disco excedida", "Превышена дисковая квота", "ディスク使用量制限を超過しました", "超出磁盘限额",
)
DENIED = (
    "Permission denied", "Keine Berechtigung", "Permission non accordée", "Permiso denegado", "Permissão negada",
    "Permissão recusada", "Отказано в доступе", "許可がありません", "权限不够", "Permesso negato", "허가 거부",
    "Åtkomst nekas", "Відмовлено у доступі", "has invalid permissions", "has wrong ownership",
    "hat ungültige Zugriffsrechte", "hat falschen Eigentümer", "a des permissions non valides",
    "a un mauvais propriétaire", "tiene permisos no válidos", "tiene dueño equivocado", "tem permissões inválidas",
    "tem dono incorreto", "установлены неправильные права доступа", "владелец каталога данных", "の権限設定が不正です",
    "の所有者情報が間違っています", "的权限无效", "的所有者权限错误", "u=rwx (0700)", "u=rwx(0700)",
)
OPEN_FILES = (
    "Too many open files", "No file descriptors available", "Zu viele offene Dateien", "Trop de fichiers ouverts",
    "Demasiados ficheros abiertos", "Muitos arquivos abertos", "Demasiados ficheiros abertos",
    "Слишком много открытых файлов", "ファイルを開きすぎです", "打开的文件过多", "Troppi file aperti",
    "열린 파일이 너무 많음", "För många öppna filer", "Забагато відкритих файлів",
    "insufficient file descriptors available", "nicht genug Dateideskriptoren verfügbar",
    "nombre de descripteurs de fichier insuffisant", "los descriptores de archivo disponibles son insuficientes",
    "недостаточно дескрипторов файлов", "利用できるファイル記述子が不足しています", "有效文件描述符不足",
)
ADDRESS_IN_USE = (
    "Address already in use", "Address in use", "Die Adresse wird bereits verwendet", "Adresse déjà utilisée",
    "La dirección ya se está usando", "Endereço já em uso", "Адрес уже используется", "アドレスは既に使用中です",
    "地址已在使用", "Indirizzo già in uso", "주소가 이미 사용 중입니다", "Adressen redan upptagen",
    "Адресу вже використано",
)
NO_MEMORY = (
    "Cannot allocate memory", "Out of memory", "Nicht genügend Hauptspeicher verfügbar",
    "Ne peut allouer de la mémoire", "No se pudo asignar memoria", "Não foi possível alocar memória",
    "Impossível alocar memória", "Невозможно выделить память", "メモリを確保できません", "无法分配内存",
    "Impossibile allocare memoria", "메모리를 할당할 수 없습니다", "Kan inte allokera minne",
    "Не вдалося розподілити пам\u2019ять", "out of memory", "Speicher aufgebraucht", "mémoire épuisée",
    "memoria agotada", "нехватка памяти", "メモリ不足です", "内存用尽", "memoria esaurita", "memória esgotada",
)
DAMAGED = (
    "could not locate a valid checkpoint record", "could not locate required checkpoint record",
    "could not locate a valid checkpoint at", "invalid primary checkpoint record",
    "incorrect checksum in control file", "konnte keinen gültigen Checkpoint-Datensatz finden",
    "konnte den nötigen Checkpoint-Datensatz nicht finden", "ungültiger primärer Checkpoint-Datensatz",
    "falsche Prüfsumme in Kontrolldatei", "n'a pas pu localiser un enregistrement d'un point de vérification valide",
    "n'a pas pu localiser l'enregistrement d'un point de vérification requis",
    "enregistrement du point de vérification primaire invalide",
    "somme de contrôle incorrecte dans le fichier de contrôle",
    "no se pudo localizar un registro de punto de control válido",
    "no se pudo localizar el registro del punto de control requerido",
    "el registro del punto de control primario no es válido",
    "la suma de verificación es incorrecta en el archivo de control",
    "não pôde localizar um registro de ponto de controle válido",
    "não pôde localizar registro do ponto de controle requerido",
    "не удалось считать правильную запись контрольной точки", "не удалось считать нужную запись контрольной точки",
    "неверная запись первичной контрольной точки", "ошибка контрольной суммы в файле pg_control",
    "有効なチェックポイントが見つかりませんでした", "必要なチェックポイントが見つかりませんでした",
    "最初のチェックポイントレコードが不正です", "制御ファイル内のチェックサムが不正です",
    "无法找到一个有效的 checkpoint 记录", "无法找到需要的 checkpoint 记录", "无效的主 checkpoint 记录",
    "控制文件的校验值不正确", "page verification failed", "Seitenüberprüfung fehlgeschlagen",
    "échec de la vérification de la page", "la suma de verificación falló", "ошибка проверки страницы",
    "ページ検証が失敗しました", "页校验失败", "invalid page in block", "ungültige Seite in Block",
    "page invalide dans le bloc", "la página no es válida en el bloque", "página é inválida no bloco",
    "некорректная страница в блоке", "に不正なページ", "中存在无效的页",
)
