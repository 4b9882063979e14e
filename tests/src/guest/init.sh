#!/bin/busybox sh
# The first and last process of a test guest: makes an ordinary system of it, then runs what comes in on one serial
# port until that closes. guest/mod.rs is the other end. If a step of the setup fails, the kernel panics for want of an
# init, and that is what we want; the pause lets the console show what the step had to say.
set -e
trap 'sleep 0.3' EXIT
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
/bin/busybox --install -s /bin

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t securityfs securityfs /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup

while read -r module; do
    insmod "$module"
done < /run/testbed/modules

hostname guest
ip link set lo up
ip address add 10.0.2.15/24 dev eth0
ip link set eth0 up
until [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do
    sleep 0.02
done
ip route add default via 10.0.2.2
[ ! -r /etc/profile ] || . /etc/profile
set +e

# The ports of a virtio serial device turn up some time after its driver.
until ls /dev/vport*p3 > /dev/null 2>&1; do
    sleep 0.02
done
device=$(echo /dev/vport*p3)
device=${device%p3}
exec 3< "${device}p1"

# A port can be opened once, and takes no more than 32 KiB at a time. So commands write to pipes, as they would elsewhere;
# held open for reading and writing, they have no end.
mkfifo /run/testbed/stdout /run/testbed/stderr
cat <> /run/testbed/stdout > "${device}p2" 3<&- &
cat <> /run/testbed/stderr > "${device}p3" 3<&- &

# One command: a line with a marker and two sizes in bytes, then a script, then its standard input. The marker ends both
# streams of its output, on stdout with the exit status behind it.
receive() {
    : > "$2"
    [ "$1" -eq 0 ] || dd bs="$1" count=1 iflag=fullblock of="$2" <&3 2> /dev/null
}
cd /root
while read -r marker script_bytes input_bytes <&3; do
    receive "$script_bytes" /run/testbed/script
    receive "$input_bytes" /run/testbed/input
    sh /run/testbed/script < /run/testbed/input > /run/testbed/stdout 2> /run/testbed/stderr 3<&-
    echo "$marker $?" > /run/testbed/stdout
    echo "$marker" > /run/testbed/stderr
done
poweroff -f
