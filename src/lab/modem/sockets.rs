//! Contexts and UDP sockets: the `QI…` commands but for names.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::command_line::{Args, Form};
use super::errors::{Final, SocketError};
use super::{Action, FOLLOWS_AFTER, LongDatagrams, Model, Modem, Reply};
use crate::lab::radio::Up;

/// Socket numbers are 0 to 11.
const SOCKETS: u8 = 12;
/// Contexts that may be active at once on NB-IoT.
const ACTIVE_CONTEXTS: usize = 2;
/// Longest payload of `AT+QISEND`.
const MAX_SEND: usize = 1460;
/// Longest datagram that this family can read.
pub const MAX_RECEIVE: usize = 1500;
/// Most hex digits of `AT+QISENDEX`; 512 are refused by modems in the field.
const MAX_SENDEX_DIGITS: usize = 510;
/// What a socket's buffer holds; further datagrams are dropped.
const MAX_INBOX_OCTETS: usize = 10 * 1024;
/// Datagrams that a socket's buffer holds, however short.
const MAX_INBOX: usize = 64;
/// A socket just closed cannot be asked about for so long.
const CLOSING: Duration = Duration::from_millis(300);
/// First of the ports given out when the host names none.
const FIRST_OWN_PORT: u16 = 20_000;

/// A PDP context after `AT+QIACT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    /// With this address.
    Active(IpAddr),
    /// The network dropped it; `AT+QIDEACT` must come before the next `AT+QIACT`.
    Broken,
}

/// One socket number in use.
#[derive(Debug)]
pub(super) struct Socket {
    /// Tells a reopened socket from the one before.
    generation: u64,
    context: u8,
    kind: Kind,
    local_port: u16,
    push: bool,
    state: State,
    inbox: VecDeque<(SocketAddr, Vec<u8>)>,
    /// A notice is out; none follows until the buffer was read empty.
    announced: bool,
    sent: usize,
    received: usize,
    read: usize,
}

impl Socket {
    /// Octets in the buffer.
    pub(super) fn unread_octets(&self) -> u64 {
        self.inbox.iter().map(|(_, payload)| payload.len() as u64).sum()
    }
}

#[derive(Debug, Clone)]
enum Kind {
    /// `"UDP"`: one peer, whose address may still have to be found.
    Connected { host: String, port: u16, peer: Option<SocketAddr> },
    /// `"UDP SERVICE"`: any peer.
    Service { host: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    /// Could not be opened; the number stays taken until `AT+QICLOSE`.
    Failed,
    /// The context went away under it.
    Broken,
}

/// Payload that the prompt asked for.
#[derive(Debug)]
pub(super) struct Sending {
    pub length: usize,
    pub octets: Vec<u8>,
    socket: u8,
    generation: u64,
    to: SocketAddr,
}

impl Modem {
    /// A plain `ERROR`, and what `AT+QIGETERROR` will say about it.
    pub(super) fn socket_fault(&mut self, error: SocketError) -> Reply {
        self.ram.last_error = error;
        Reply::Done(Final::Error)
    }

    /// The address of an active context.
    pub(super) fn context_address(&self, cid: u8) -> Option<IpAddr> {
        match self.contexts.get(&cid)? {
            Activation::Active(address) => Some(*address),
            Activation::Broken => None,
        }
    }

    // ---- contexts

    /// `AT+QIACT`
    pub(super) fn qiact(&mut self, form: &Form, now: Instant) -> Reply {
        match form {
            Form::Read => Reply::Lines(
                self.contexts
                    .iter()
                    .filter_map(|(cid, activation)| match activation {
                        Activation::Active(address) => {
                            let kind = if address.is_ipv4() { 1 } else { 2 };
                            Some(format!("+QIACT: {cid},1,{kind},\"{address}\""))
                        }
                        Activation::Broken => None,
                    })
                    .collect(),
            ),
            Form::Set(args) => {
                let Some(cid @ 1..=16) = args.number::<u8>(0) else {
                    return self.socket_fault(SocketError::InvalidParameters);
                };
                if self.contexts.contains_key(&cid) || self.contexts.len() >= ACTIVE_CONTEXTS {
                    return self.socket_fault(SocketError::NotAllowed);
                }
                let takes = self.rng.between(Duration::from_millis(200), Duration::from_millis(900));
                self.after(takes, Action::ActivateContext(cid), now);
                Reply::Running
            }
            Form::Execute | Form::Test => self.socket_fault(SocketError::InvalidParameters),
        }
    }

    /// The end of `AT+QIACT`.
    pub(super) fn activate_context(&mut self, cid: u8, now: Instant) {
        let address = self.network.serving().map(|serving| serving.address);
        let result = match address {
            Some(address) => {
                self.contexts.insert(cid, Activation::Active(address));
                Final::Ok
            }
            None => {
                self.ram.last_error = SocketError::ContextNotActive;
                Final::Error
            }
        };
        self.finish(result, now);
    }

    /// `AT+QIDEACT`
    pub(super) fn qideact(&mut self, form: &Form, now: Instant) -> Reply {
        let Form::Set(args) = form else { return self.socket_fault(SocketError::InvalidParameters) };
        let Some(cid @ 1..=16) = args.number::<u8>(0) else {
            return self.socket_fault(SocketError::InvalidParameters);
        };
        self.contexts.remove(&cid);
        let ids: Vec<u8> =
            self.sockets.iter().filter(|(_, socket)| socket.context == cid).map(|(&id, _)| id).collect();
        for id in ids {
            self.close(id, now);
        }
        let takes = self.rng.between(Duration::from_millis(50), Duration::from_millis(400));
        Reply::DoneAfter(takes, Final::Ok)
    }

    /// The network or the radio took the bearer away: says so for each active context, and its sockets are dead.
    pub(super) fn break_contexts(&mut self, now: Instant) {
        let active: Vec<u8> = self
            .contexts
            .iter()
            .filter(|(_, a)| matches!(a, Activation::Active(_)))
            .map(|(&cid, _)| cid)
            .collect();
        for cid in active {
            self.contexts.insert(cid, Activation::Broken);
            self.urc(&format!("+QIURC: \"pdpdeact\",{cid}"), now);
        }
        for socket in self.sockets.values_mut() {
            if socket.state == State::Open {
                self.up.push_back(Up::ClosePort(socket.local_port));
            }
            if socket.state != State::Failed {
                socket.state = State::Broken;
            }
        }
    }

    // ---- open and close

    /// `AT+QIOPEN=ctx,id,"UDP","host",port[,local[,mode]]` or `…,"UDP SERVICE","127.0.0.1",0,local[,mode]`
    pub(super) fn qiopen(&mut self, form: &Form, now: Instant) -> Reply {
        let Form::Set(args) = form else { return self.socket_fault(SocketError::InvalidParameters) };
        let Some((id, socket)) = read_open(args) else {
            return self.socket_fault(SocketError::InvalidParameters);
        };
        let takes = FOLLOWS_AFTER + self.rng.between(Duration::from_millis(5), Duration::from_millis(150));
        if self.sockets.contains_key(&id) {
            self.after(takes, Action::OpenRefused(id), now);
        } else {
            let generation = self.next_number();
            self.sockets.insert(id, Socket { generation, ..socket });
            self.after(takes, Action::OpenSocket { id, generation }, now);
        }
        Reply::ok()
    }

    /// `+QIOPEN` for a number in use; the socket that has it is left alone.
    pub(super) fn open_refused(&mut self, id: u8, now: Instant) {
        self.ram.last_error = SocketError::IdInUse;
        self.urc(&format!("+QIOPEN: {id},{}", SocketError::IdInUse.number()), now);
    }

    /// What follows the `OK` of `AT+QIOPEN`.
    pub(super) fn open_socket(&mut self, id: u8, generation: u64, now: Instant) {
        let Some(socket) = self.sockets.get(&id).filter(|socket| socket.generation == generation) else {
            return;
        };
        let (context, kind, mut port) = (socket.context, socket.kind.clone(), socket.local_port);
        if self.context_address(context).is_none() {
            return self.open_failed(id, SocketError::ContextNotActive, now);
        }
        if self.network.serving().is_none() {
            return self.open_failed(id, SocketError::ConnectFailed, now);
        }
        if port == 0 {
            port = self.free_port();
        } else if self.sockets.iter().any(|(&other, socket)| other != id && socket.local_port == port) {
            return self.open_failed(id, SocketError::PortBusy, now);
        }
        let peer = match &kind {
            Kind::Service { .. } => None,
            Kind::Connected { host, port: remote, .. } => match host.parse::<IpAddr>() {
                Ok(ip) => Some(SocketAddr::new(ip, *remote)),
                Err(_) if self.lookup.is_some() => return self.open_failed(id, SocketError::DnsBusy, now),
                Err(_) => {
                    self.set_port(id, port);
                    let host = host.clone();
                    return self.look_up(host, Some((id, generation)), now);
                }
            },
        };
        self.set_port(id, port);
        self.opened(id, peer, now);
    }

    fn set_port(&mut self, id: u8, port: u16) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.local_port = port;
        }
    }

    fn free_port(&mut self) -> u16 {
        loop {
            let port = FIRST_OWN_PORT + self.rng.u16() % 20_000;
            // At most twelve ports are taken, so this ends.
            if !self.sockets.values().any(|socket| socket.local_port == port) {
                return port;
            }
        }
    }

    /// What the name server said about a socket's peer.
    pub(super) fn peer_found(&mut self, id: u8, generation: u64, found: Option<IpAddr>, now: Instant) {
        let Some(socket) = self.sockets.get(&id).filter(|socket| socket.generation == generation) else {
            return;
        };
        let Kind::Connected { port, .. } = socket.kind else { return };
        match found {
            // The context broke meanwhile.
            _ if socket.state != State::Opening => self.open_failed(id, SocketError::ContextNotActive, now),
            Some(ip) => self.opened(id, Some(SocketAddr::new(ip, port)), now),
            None => self.open_failed(id, SocketError::DnsFailed, now),
        }
    }

    fn opened(&mut self, id: u8, found: Option<SocketAddr>, now: Instant) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        if let Kind::Connected { peer, .. } = &mut socket.kind {
            *peer = found;
        }
        socket.state = State::Open;
        self.up.push_back(Up::OpenPort(socket.local_port));
        self.urc(&format!("+QIOPEN: {id},0"), now);
    }

    fn open_failed(&mut self, id: u8, error: SocketError, now: Instant) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.state = State::Failed;
            socket.local_port = 0;
        }
        self.ram.last_error = error;
        self.urc(&format!("+QIOPEN: {id},{}", error.number()), now);
    }

    /// `AT+QICLOSE=id[,timeout]`
    pub(super) fn qiclose(&mut self, form: &Form, now: Instant) -> Reply {
        let Form::Set(args) = form else { return self.socket_fault(SocketError::InvalidParameters) };
        let (Some(id), Some(_)) = (socket_id(args, 0), args.number_or::<u16>(1, 10)) else {
            return self.socket_fault(SocketError::InvalidParameters);
        };
        self.close(id, now);
        let takes = self.rng.between(Duration::from_millis(10), Duration::from_millis(200));
        Reply::DoneAfter(takes, Final::Ok)
    }

    fn close(&mut self, id: u8, now: Instant) {
        let Some(socket) = self.sockets.remove(&id) else { return };
        self.unread_octets += socket.unread_octets();
        if socket.state == State::Open {
            self.up.push_back(Up::ClosePort(socket.local_port));
        }
        if self.lookup.as_ref().and_then(|lookup| lookup.socket) == Some((id, socket.generation)) {
            self.lookup = None;
        }
        self.closed.insert(id, now + CLOSING);
    }

    // ---- send

    /// `AT+QISEND=id,length[,"ip",port]`; with length 0 the counters.
    pub(super) fn qisend(&mut self, form: &Form) -> Reply {
        let Form::Set(args) = form else { return self.socket_fault(SocketError::InvalidParameters) };
        let (Some(id), Some(length)) = (socket_id(args, 0), args.number::<usize>(1)) else {
            return self.socket_fault(SocketError::InvalidParameters);
        };
        let socket = match self.open_id(id) {
            Ok(socket) => socket,
            Err(error) => return self.socket_fault(error),
        };
        let generation = socket.generation;
        if length == 0 && args.len() == 2 {
            return Reply::line(format!("+QISEND: {0},{0},0", socket.sent));
        }
        let to = match (&socket.kind, args.len()) {
            (Kind::Connected { peer, .. }, 2) => *peer,
            (Kind::Service { .. }, 4) => {
                let ip = args.quoted(2).and_then(|ip| ip.parse::<IpAddr>().ok());
                let port = args.number::<u16>(3).filter(|port| *port > 0);
                ip.zip(port).map(|(ip, port)| SocketAddr::new(ip, port))
            }
            _ => None,
        };
        match to {
            Some(to) if (1..=MAX_SEND).contains(&length) => {
                Reply::Prompt(Sending { length, octets: Vec::new(), socket: id, generation, to })
            }
            _ => self.socket_fault(SocketError::InvalidParameters),
        }
    }

    /// The payload is complete.
    pub(super) fn send(&mut self, sending: Sending) -> Reply {
        match self.open_id(sending.socket) {
            Ok(socket) if socket.generation == sending.generation => {}
            Ok(_) => return self.socket_fault(SocketError::Closed),
            Err(error) => return self.socket_fault(error),
        }
        self.pass_up(sending.socket, sending.to, sending.octets)
    }

    /// `AT+QISENDEX=id,"hex"[,rai]`, for connected sockets.
    pub(super) fn qisendex(&mut self, form: &Form) -> Reply {
        let Form::Set(args) = form else { return self.socket_fault(SocketError::InvalidParameters) };
        let payload = args.quoted(1).filter(|hex| hex.len() <= MAX_SENDEX_DIGITS).and_then(from_hex);
        let release = match args.len() {
            2 => Some(0),
            3 if self.options.model == Model::Bg95M3 => args.number::<u8>(2).filter(|rai| *rai <= 2),
            _ => None,
        };
        let (Some(id), Some(payload), Some(_)) = (socket_id(args, 0), payload, release) else {
            return self.socket_fault(SocketError::InvalidParameters);
        };
        let peer = match self.open_id(id).map(|socket| &socket.kind) {
            Ok(Kind::Connected { peer, .. }) => *peer,
            Ok(Kind::Service { .. }) => None,
            Err(error) => return self.socket_fault(error),
        };
        match peer {
            Some(peer) => self.pass_up(id, peer, payload),
            None => self.socket_fault(SocketError::NotSupported),
        }
    }

    fn pass_up(&mut self, id: u8, to: SocketAddr, payload: Vec<u8>) -> Reply {
        let takes = self.rng.between(Duration::from_millis(5), Duration::from_millis(60));
        if self.rng.chance(self.options.send_fail) {
            self.ram.last_error = SocketError::WriteFailed;
            return Reply::DoneAfter(takes, Final::SendFail);
        }
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.sent += payload.len();
            self.up.push_back(Up::Datagram { local_port: socket.local_port, to, payload });
        }
        Reply::DoneAfter(takes, Final::SendOk)
    }

    fn open_id(&self, id: u8) -> Result<&Socket, SocketError> {
        let socket = self.sockets.get(&id).ok_or(SocketError::Closed)?;
        match socket.state {
            State::Open => Ok(socket),
            State::Opening => Err(SocketError::Busy),
            State::Failed => Err(SocketError::Closed),
            State::Broken => Err(SocketError::ContextBroken),
        }
    }

    // ---- receive

    /// A datagram from the network.
    pub(super) fn receive(&mut self, port: u16, from: SocketAddr, mut payload: Vec<u8>, now: Instant) {
        let found = self.sockets.iter_mut().find(|(_, s)| s.local_port == port && s.state == State::Open);
        let Some((&id, socket)) = found else {
            self.unread_octets += payload.len() as u64;
            return;
        };
        if let Kind::Connected { peer: Some(peer), .. } = &socket.kind {
            if *peer != from {
                self.unread_octets += payload.len() as u64;
                return;
            }
        }
        let limit = self.options.max_receive.min(MAX_RECEIVE);
        if payload.len() > limit {
            if self.options.long_datagrams == LongDatagrams::Drop {
                self.dropped_datagrams += 1;
                self.unread_octets += payload.len() as u64;
                return;
            }
            self.unread_octets += (payload.len() - limit) as u64;
            payload.truncate(limit);
        }
        if socket.push {
            socket.received += payload.len();
            socket.read += payload.len();
            let sender = matches!(socket.kind, Kind::Service { .. }).then_some(from);
            let piece = self.counted(&format!("+QIURC: \"recv\",{id},"), &payload, sender);
            return self.urc_octets(&piece, now);
        }
        let held: usize = socket.inbox.iter().map(|(_, payload)| payload.len()).sum();
        if held + payload.len() > MAX_INBOX_OCTETS || socket.inbox.len() >= MAX_INBOX {
            self.dropped_datagrams += 1;
            self.unread_octets += payload.len() as u64;
            return;
        }
        let length = payload.len();
        socket.received += length;
        socket.inbox.push_back((from, payload));
        if !socket.announced {
            socket.announced = true;
            let length = if self.ram.notice_length { format!(",{length}") } else { String::new() };
            self.urc(&format!("+QIURC: \"recv\",{id}{length}"), now);
        }
    }

    /// `AT+QIRD=id[,length]`: one datagram; with length 0 the counters.
    pub(super) fn qird(&mut self, form: &Form) -> Reply {
        let Form::Set(args) = form else { return self.socket_fault(SocketError::InvalidParameters) };
        let Some(id) = socket_id(args, 0) else { return self.socket_fault(SocketError::InvalidParameters) };
        match self.sockets.get(&id).map(|socket| socket.state) {
            Some(State::Open | State::Broken) => {}
            Some(State::Opening) => return self.socket_fault(SocketError::Busy),
            Some(State::Failed) | None => return self.socket_fault(SocketError::Closed),
        }
        let Some(socket) = self.sockets.get_mut(&id) else { return self.socket_fault(SocketError::Closed) };
        let is_service = matches!(socket.kind, Kind::Service { .. });
        let length = match args.number::<usize>(1) {
            None if args.len() == 1 => MAX_RECEIVE,
            Some(0) if args.len() == 2 => {
                let unread = socket.received - socket.read;
                return Reply::line(format!("+QIRD: {},{},{unread}", socket.received, socket.read));
            }
            Some(length) if args.len() == 2 && !is_service && length <= MAX_RECEIVE => length,
            _ => return self.socket_fault(SocketError::InvalidParameters),
        };
        if socket.push {
            return self.socket_fault(SocketError::NotAllowed);
        }
        let Some((from, mut payload)) = socket.inbox.pop_front() else {
            socket.announced = false;
            return Reply::line("+QIRD: 0".into());
        };
        socket.read += payload.len();
        socket.announced = !socket.inbox.is_empty();
        // A datagram is read once: what does not fit the length asked for is lost.
        self.unread_octets += payload.len().saturating_sub(length) as u64;
        payload.truncate(length);
        Reply::Raw(self.counted("+QIRD: ", &payload, is_service.then_some(from)))
    }

    /// A header with its count (and sender), then the payload, as `viewmode` and `dataformat` say.
    fn counted(&self, header: &str, payload: &[u8], sender: Option<SocketAddr>) -> Vec<u8> {
        let mut head = format!("\r\n{header}{}", payload.len());
        if let Some(sender) = sender {
            // Writing to a String cannot fail.
            let _ = write!(head, ",\"{}\",{}", sender.ip(), sender.port());
        }
        head.push_str(if self.ram.one_line { "," } else { "\r\n" });
        let mut octets = head.into_bytes();
        if self.ram.hex {
            octets.extend(payload.iter().flat_map(|octet| format!("{octet:02X}").into_bytes()));
        } else {
            octets.extend_from_slice(payload);
        }
        octets.extend_from_slice(b"\r\n");
        octets
    }

    // ---- state and errors

    /// `AT+QISTATE?`, `AT+QISTATE=0,ctx` or `AT+QISTATE=1,id`
    pub(super) fn qistate(&mut self, form: &Form, now: Instant) -> Reply {
        let (of_context, of_id) = match form {
            Form::Execute | Form::Read => (None, None),
            Form::Set(args) => match (args.number::<u8>(0), args.number::<u8>(1), args.len()) {
                (Some(0), Some(context @ 1..=16), 2) => (Some(context), None),
                (Some(1), Some(id), 2) if id < SOCKETS => (None, Some(id)),
                _ => return self.socket_fault(SocketError::InvalidParameters),
            },
            Form::Test => return self.socket_fault(SocketError::InvalidParameters),
        };
        let just_closed =
            of_id.and_then(|id| self.closed.get(&id).filter(|_| !self.sockets.contains_key(&id)));
        if just_closed.is_some_and(|until| now < *until) {
            return self.socket_fault(SocketError::Closed);
        }
        let asked = self.sockets.iter().filter(|(id, socket)| {
            of_id.is_none_or(|wanted| wanted == **id)
                && of_context.is_none_or(|wanted| wanted == socket.context)
        });
        Reply::Lines(asked.map(|(id, socket)| self.state_line(*id, socket)).collect())
    }

    fn state_line(&self, id: u8, socket: &Socket) -> String {
        let (service, ip, port) = match &socket.kind {
            Kind::Connected { peer: Some(peer), .. } => ("UDP", peer.ip().to_string(), peer.port()),
            Kind::Connected { host, port, .. } => ("UDP", host.clone(), *port),
            Kind::Service { host } => ("UDP SERVICE", host.clone(), 0),
        };
        let state = match socket.state {
            State::Opening => 1,
            State::Open => 2,
            State::Failed | State::Broken => 4,
        };
        format!(
            "+QISTATE: {id},\"{service}\",\"{ip}\",{port},{},{state},{},0,{},\"{}\"",
            socket.local_port,
            socket.context,
            u8::from(socket.push),
            self.options.port_name
        )
    }

    /// `AT+QIGETERROR`
    pub(super) fn qigeterror(&self) -> Reply {
        let error = self.ram.last_error;
        Reply::line(format!("+QIGETERROR: {}, {}", error.number(), error.text()))
    }
}

fn socket_id(args: &Args, index: usize) -> Option<u8> {
    args.number::<u8>(index).filter(|id| *id < SOCKETS)
}

fn read_open(args: &Args) -> Option<(u8, Socket)> {
    let context = args.number::<u8>(0).filter(|cid| (1..=16).contains(cid))?;
    let id = socket_id(args, 1)?;
    let host = args.quoted(3).filter(|host| !host.is_empty() && host.len() <= 200)?.to_owned();
    let remote = args.number::<u16>(4)?;
    let local_port = args.number_or::<u16>(5, 0)?;
    // Mode 2, transparent, is left out: the driver of a gateway has no use for it.
    let push = args.number_or::<u8>(6, 0).filter(|mode| *mode <= 1)? == 1;
    let kind = match args.quoted(2)? {
        "UDP" if remote > 0 => Kind::Connected { host, port: remote, peer: None },
        "UDP SERVICE" if local_port > 0 && ["127.0.0.1", "0:0:0:0:0:0:0:1"].contains(&host.as_str()) => {
            Kind::Service { host }
        }
        _ => return None,
    };
    let socket = Socket {
        generation: 0,
        context,
        kind,
        local_port,
        push,
        state: State::Opening,
        inbox: VecDeque::new(),
        announced: false,
        sent: 0,
        received: 0,
        read: 0,
    };
    (args.len() <= 7).then_some((id, socket))
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| !digits.is_empty() && digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
