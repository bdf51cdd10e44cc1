//! Addresses and states of sockets, as text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::file_messages::{FileEntry, InetSocket, NetlinkSocket, PacketSocket, UnixSocket};
use crate::limits::NAME_BYTES_MAX;
use crate::report::Socket;
use crate::tables::{protocol, socket_state, socket_type};
use crate::warnings::Warnings;

const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const IPPROTO_TCP: u32 = 6;
const TCP_CLOSE: u32 = 7;
const TCP_LISTEN: u32 = 10;

/// The socket of a file, if it is one. `big_endian` is the byte order of the host that dumped.
pub(crate) fn socket(
    file: &FileEntry,
    big_endian: bool,
    warnings: &mut Warnings,
) -> Option<Socket> {
    let mut names = Names { id: file.id, warnings };
    if let Some(inet) = &file.inet {
        return Some(inet_socket(inet, big_endian, &mut names));
    }
    if let Some(unix) = &file.unix {
        return Some(unix_socket(unix, &mut names));
    }
    if let Some(netlink) = &file.netlink {
        return Some(netlink_socket(netlink, &mut names));
    }
    file.packet.as_ref().map(|packet| packet_socket(packet, &mut names))
}

/// True for a TCP socket with another side, in whatever state: what a restore may not be able to
/// bring back, and what needs `--tcp-established` or `--tcp-close`.
pub(crate) fn is_connection(inet: &InetSocket) -> bool {
    inet.proto == IPPROTO_TCP && ![TCP_CLOSE, TCP_LISTEN].contains(&inet.state)
}

struct Names<'a> {
    id: u32,
    warnings: &'a mut Warnings,
}

impl Names<'_> {
    /// The name for a number, or the number and a warning.
    fn name(&mut self, what: &str, number: u32, name: fn(u32) -> Option<&'static str>) -> String {
        let Some(name) = name(number) else {
            self.warnings
                .add(format_args!("files.img: {what} {number} of socket {} is not known", self.id));
            return number.to_string();
        };
        name.to_owned()
    }
}

fn inet_socket(inet: &InetSocket, big_endian: bool, names: &mut Names<'_>) -> Socket {
    let family = names.name("family", inet.family, |family| match family {
        AF_INET => Some("inet"),
        AF_INET6 => Some("inet6"),
        _ => None,
    });
    let mut side = |words: &[u32], port: u32| {
        let address = address(inet.family, words, port, big_endian);
        if address.is_none() {
            let id = names.id;
            names.warnings.add(format_args!("files.img: an address of socket {id} is not sound"));
        }
        address
    };
    let local = side(&inet.src_addr, inet.src_port);
    let remote = side(&inet.dst_addr, inet.dst_port);
    Socket {
        family,
        socket_type: names.name("type", inet.socket_type, socket_type),
        protocol: Some(names.name("protocol", inet.proto, protocol)),
        state: names.name("state", inet.state, socket_state),
        local: local.map(|address| address.to_string()),
        // Any address and port 0 is how the kernel says that there is no other side.
        remote: remote
            .filter(|address| address.port() != 0 || !address.ip().is_unspecified())
            .map(|address| address.to_string()),
    }
}

fn address(family: u32, words: &[u32], port: u32, big_endian: bool) -> Option<SocketAddr> {
    let bytes = |word: u32| if big_endian { word.to_be_bytes() } else { word.to_le_bytes() };
    let ip = match (family, words) {
        (AF_INET, [word, ..]) => IpAddr::from(Ipv4Addr::from(bytes(*word))),
        (AF_INET6, [a, b, c, d]) => {
            let mut octets = [0; 16];
            for (octet, byte) in octets.iter_mut().zip([*a, *b, *c, *d].into_iter().flat_map(bytes))
            {
                *octet = byte;
            }
            IpAddr::from(Ipv6Addr::from(octets))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::try_from(port).ok()?))
}

fn unix_socket(unix: &UnixSocket, names: &mut Names<'_>) -> Socket {
    Socket {
        family: "unix".to_owned(),
        socket_type: names.name("type", unix.socket_type, socket_type),
        protocol: None,
        state: names.name("state", unix.state, socket_state),
        local: Some(unix_name(&unix.name)).filter(|name| !name.is_empty()),
        remote: (unix.peer != 0).then(|| format!("socket:[{}]", unix.peer)),
    }
}

/// A path, or an abstract name in the manner of ss(8): `@` for each NUL.
fn unix_name(name: &[u8]) -> String {
    let name = &name[..name.len().min(NAME_BYTES_MAX)];
    if name.first() == Some(&0) {
        return String::from_utf8_lossy(name).replace('\0', "@");
    }
    crate::message::text(name)
}

fn netlink_socket(netlink: &NetlinkSocket, names: &mut Names<'_>) -> Socket {
    Socket {
        family: "netlink".to_owned(),
        socket_type: "raw".to_owned(),
        protocol: Some(netlink.protocol.to_string()),
        state: names.name("state", netlink.state, socket_state),
        local: Some(netlink.portid.to_string()),
        remote: None,
    }
}

fn packet_socket(packet: &PacketSocket, names: &mut Names<'_>) -> Socket {
    Socket {
        family: "packet".to_owned(),
        socket_type: names.name("type", packet.socket_type, socket_type),
        protocol: Some(format!("{:#06x}", packet.protocol)),
        state: "close".to_owned(),
        local: Some(format!("interface {}", packet.ifindex)),
        remote: None,
    }
}
