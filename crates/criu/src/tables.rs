//! Names for numbers that images have from the kernel.

/// Security modules (criu `images/inventory.proto`, `lsmtype`).
pub(crate) fn lsm(number: u32) -> Option<&'static str> {
    match number {
        1 => Some("selinux"),
        2 => Some("apparmor"),
        _ => None,
    }
}

/// Ways to hold the network still (criu `criu/include/cr_options.h`).
pub(crate) fn network_lock(number: u32) -> Option<&'static str> {
    match number {
        0 => Some("iptables"),
        1 => Some("nftables"),
        2 => Some("skip"),
        _ => None,
    }
}

/// States of a socket (Linux `include/net/tcp_states.h`); UDP and Unix sockets use some of them.
pub(crate) fn socket_state(number: u32) -> Option<&'static str> {
    const STATES: [&str; 12] = [
        "established",
        "syn-sent",
        "syn-recv",
        "fin-wait-1",
        "fin-wait-2",
        "time-wait",
        "close",
        "close-wait",
        "last-ack",
        "listen",
        "closing",
        "new-syn-recv",
    ];
    let index = usize::try_from(number.checked_sub(1)?).ok()?;
    STATES.get(index).copied()
}

/// Protocols over IP (IANA).
pub(crate) fn protocol(number: u32) -> Option<&'static str> {
    match number {
        0 => Some("ip"),
        1 => Some("icmp"),
        6 => Some("tcp"),
        17 => Some("udp"),
        58 => Some("icmpv6"),
        132 => Some("sctp"),
        136 => Some("udplite"),
        255 => Some("raw"),
        _ => None,
    }
}

/// Types of a socket (Linux `include/linux/net.h`).
pub(crate) fn socket_type(number: u32) -> Option<&'static str> {
    match number {
        1 => Some("stream"),
        2 => Some("dgram"),
        3 => Some("raw"),
        5 => Some("seqpacket"),
        10 => Some("packet"),
        _ => None,
    }
}

/// Way in which a file was opened, from its flags (`O_ACCMODE`, and `O_PATH`).
pub(crate) fn access(flags: u32) -> &'static str {
    match flags & 3 {
        _ if flags & 0o10_000_000 != 0 => "path",
        0 => "r",
        1 => "w",
        _ => "rw",
    }
}
