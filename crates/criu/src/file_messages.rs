//! Messages of open files (criu `images/fdinfo.proto` and the messages that it imports).

use crate::message::Entry;

/// An entry of `fdinfo-<files id>.img`: a file descriptor.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FdInfo {
    /// Id of the file.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// 1 if it is closed on exec.
    #[prost(uint32, tag = "2")]
    pub flags: u32,
    /// Kind of the file, see [`FileKind`].
    #[prost(uint32, tag = "3")]
    pub kind: u32,
    /// The descriptor.
    #[prost(uint32, tag = "4")]
    pub fd: u32,
}

/// An entry of `files.img`: an open file, which several descriptors may share.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FileEntry {
    /// Kind, see [`FileKind`].
    #[prost(uint32, tag = "1")]
    pub kind: u32,
    /// Id, that descriptors and areas name.
    #[prost(uint32, tag = "2")]
    pub id: u32,
    /// A file with a path, a folder or a device.
    #[prost(message, optional, tag = "3")]
    pub regular: Option<RegularFile>,
    /// An IP socket.
    #[prost(message, optional, tag = "4")]
    pub inet: Option<InetSocket>,
    /// A packet socket.
    #[prost(message, optional, tag = "6")]
    pub packet: Option<PacketSocket>,
    /// A netlink socket.
    #[prost(message, optional, tag = "7")]
    pub netlink: Option<NetlinkSocket>,
    /// A Unix socket.
    #[prost(message, optional, tag = "16")]
    pub unix: Option<UnixSocket>,
    /// A named pipe.
    #[prost(message, optional, tag = "17")]
    pub fifo: Option<Fifo>,
    /// An end of a pipe.
    #[prost(message, optional, tag = "18")]
    pub pipe: Option<Pipe>,
    /// A terminal.
    #[prost(message, optional, tag = "19")]
    pub tty: Option<Tty>,
}

/// A file with a path (criu `images/regfile.proto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct RegularFile {
    /// Id of the file.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// Flags of open(2).
    #[prost(uint32, tag = "2")]
    pub flags: u32,
    /// Offset in bytes.
    #[prost(uint64, tag = "3")]
    pub pos: u64,
    /// Path in the process's root, as bytes.
    #[prost(bytes = "vec", tag = "6")]
    pub name: Vec<u8>,
    /// Size in bytes, which the file must still have at the restore.
    #[prost(uint64, optional, tag = "8")]
    pub size: Option<u64>,
}

/// An IP socket (criu `images/sk-inet.proto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct InetSocket {
    /// Id of the file.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// Inode: N, in hexadecimal, of `tcp-stream-N.img`.
    #[prost(uint32, tag = "2")]
    pub ino: u32,
    /// 2 for IPv4, 10 for IPv6.
    #[prost(uint32, tag = "3")]
    pub family: u32,
    /// Type: 1 stream, 2 datagram, 3 raw.
    #[prost(uint32, tag = "4")]
    pub socket_type: u32,
    /// Protocol over IP: 6 TCP, 17 UDP.
    #[prost(uint32, tag = "5")]
    pub proto: u32,
    /// State: 1 established, 7 closed, 10 listening.
    #[prost(uint32, tag = "6")]
    pub state: u32,
    /// Port at this side.
    #[prost(uint32, tag = "7")]
    pub src_port: u32,
    /// Port at the other side.
    #[prost(uint32, tag = "8")]
    pub dst_port: u32,
    /// Flags of open(2).
    #[prost(uint32, tag = "9")]
    pub flags: u32,
    /// Address at this side: one word or four, in network order in the host's memory.
    #[prost(uint32, repeated, packed = "false", tag = "11")]
    pub src_addr: Vec<u32>,
    /// Address at the other side.
    #[prost(uint32, repeated, packed = "false", tag = "12")]
    pub dst_addr: Vec<u32>,
}

/// A Unix socket (criu `images/sk-unix.proto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct UnixSocket {
    /// Id of the file.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// Inode.
    #[prost(uint32, tag = "2")]
    pub ino: u32,
    /// Type: 1 stream, 2 datagram, 5 sequenced packets.
    #[prost(uint32, tag = "3")]
    pub socket_type: u32,
    /// State: 1 established, 7 closed, 10 listening.
    #[prost(uint32, tag = "4")]
    pub state: u32,
    /// Flags of open(2).
    #[prost(uint32, tag = "5")]
    pub flags: u32,
    /// Inode of the socket at the other side, 0 for none.
    #[prost(uint32, tag = "8")]
    pub peer: u32,
    /// Path, or a NUL and an abstract name; empty for none.
    #[prost(bytes = "vec", tag = "11")]
    pub name: Vec<u8>,
}

/// A packet socket (criu `images/packet-sock.proto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct PacketSocket {
    /// Id of the file.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// Type: 2 datagram, 3 raw.
    #[prost(uint32, tag = "2")]
    pub socket_type: u32,
    /// Protocol over Ethernet.
    #[prost(uint32, tag = "3")]
    pub protocol: u32,
    /// Flags of open(2).
    #[prost(uint32, tag = "4")]
    pub flags: u32,
    /// Number of the interface.
    #[prost(uint32, tag = "5")]
    pub ifindex: u32,
}

/// A netlink socket (criu `images/sk-netlink.proto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct NetlinkSocket {
    /// Id of the file.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// Part of the kernel that it talks to: 0 routes, 15 events of devices.
    #[prost(uint32, tag = "3")]
    pub protocol: u32,
    /// State: 1 established, 7 closed.
    #[prost(uint32, tag = "4")]
    pub state: u32,
    /// Flags of open(2).
    #[prost(uint32, tag = "6")]
    pub flags: u32,
    /// Its address.
    #[prost(uint32, tag = "7")]
    pub portid: u32,
}

/// An end of a pipe (criu `images/pipe.proto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Pipe {
    /// Id of the file.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// Inode: equal for both ends.
    #[prost(uint32, tag = "2")]
    pub pipe_id: u32,
    /// Flags of open(2).
    #[prost(uint32, tag = "3")]
    pub flags: u32,
}

/// A named pipe (criu `images/fifo.proto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Fifo {
    /// Id of the file.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// Inode.
    #[prost(uint32, tag = "2")]
    pub pipe_id: u32,
    /// Id of the regular file that has its path; its own id in images of before CRIU 3.
    #[prost(uint32, optional, tag = "3")]
    pub path_id: Option<u32>,
}

/// A terminal (criu `images/tty.proto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Tty {
    /// Id of the file.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// Flags of open(2).
    #[prost(uint32, tag = "3")]
    pub flags: u32,
    /// Id of the regular file that has its path; its own id in images of before CRIU 3.
    #[prost(uint32, optional, tag = "6")]
    pub path_id: Option<u32>,
}

impl Entry for FdInfo {
    const REQUIRED: &'static [u32] = &[1, 2, 3, 4];
    const KNOWN: &'static [u32] = &[1, 2, 3, 4, 5];
}

impl Entry for FileEntry {
    const REQUIRED: &'static [u32] = &[1, 2];
    const KNOWN: &'static [u32] =
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22];
}

impl Entry for RegularFile {
    const REQUIRED: &'static [u32] = &[1, 6];
    const KNOWN: &'static [u32] = &[1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
}

impl Entry for InetSocket {
    const REQUIRED: &'static [u32] = &[1, 3, 4, 5, 6];
    const KNOWN: &'static [u32] =
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20];
}

impl Entry for UnixSocket {
    const REQUIRED: &'static [u32] = &[1, 2, 3, 4];
    const KNOWN: &'static [u32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17];
}

impl Entry for Pipe {
    const REQUIRED: &'static [u32] = &[1, 2];
    const KNOWN: &'static [u32] = &[1, 2, 3, 4];
}
