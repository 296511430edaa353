# shellcheck shell=sh
find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /root/.ansible -o -path /var/lib/postgresql \
    -o -path /var/lib/systemd -o -path /var/log/journal -o -name __pycache__ \) -prune -o -print | sort
