//! Host names: the `QIDNS…` commands, and names in `AT+QIOPEN`.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::command_line::Form;
use super::errors::SocketError;
use super::{Action, FOLLOWS_AFTER, Modem, Reply};
use crate::lab::radio::Up;

/// A name server that is silent for so long has no answer.
const DNS_LIMIT: Duration = Duration::from_secs(60);
/// How long an address may be kept, as `"dnsgip"` says.
const TTL_S: u32 = 600;

/// A name that is being looked up.
#[derive(Debug)]
pub(super) struct Lookup {
    number: u64,
    name: String,
    /// The socket that waits for it, or the host itself.
    pub socket: Option<(u8, u64)>,
}

impl Modem {
    /// `AT+QIDNSCFG=ctx[,"first"[,"second"]]`
    pub(super) fn qidnscfg(&mut self, form: &Form) -> Reply {
        let Form::Set(args) = form else { return self.socket_fault(SocketError::InvalidParameters) };
        let Some(cid) = args.number::<u8>(0) else {
            return self.socket_fault(SocketError::InvalidParameters);
        };
        if self.context_address(cid).is_none() {
            return self.socket_fault(SocketError::ContextNotActive);
        }
        if args.len() == 1 {
            let (first, second) = &self.ram.dns;
            return Reply::line(format!("+QIDNSCFG: {cid},\"{first}\",\"{second}\""));
        }
        let is_address = |index| args.text(index).parse::<IpAddr>().is_ok();
        if !is_address(1) || (args.len() > 2 && !is_address(2)) {
            return self.socket_fault(SocketError::InvalidParameters);
        }
        self.ram.dns = (args.text(1).to_owned(), args.text(2).to_owned());
        Reply::ok()
    }

    /// `AT+QIDNSGIP=ctx,"name"`; the addresses follow as URCs.
    pub(super) fn qidnsgip(&mut self, form: &Form, now: Instant) -> Reply {
        let Form::Set(args) = form else { return self.socket_fault(SocketError::InvalidParameters) };
        let (Some(cid), Some(name)) = (args.number::<u8>(0), args.quoted(1).filter(|name| !name.is_empty()))
        else {
            return self.socket_fault(SocketError::InvalidParameters);
        };
        if self.context_address(cid).is_none() {
            return self.socket_fault(SocketError::ContextNotActive);
        }
        if self.lookup.is_some() {
            return self.socket_fault(SocketError::DnsBusy);
        }
        let name = name.to_owned();
        self.look_up(name, None, now);
        Reply::ok()
    }

    /// Asks for a name, for a socket or for the host. The caller has seen that no other question is open.
    pub(super) fn look_up(&mut self, name: String, socket: Option<(u8, u64)>, now: Instant) {
        let number = self.next_number();
        match name.parse::<IpAddr>() {
            // The answer must not overtake the OK.
            Ok(address) => {
                self.after(
                    FOLLOWS_AFTER,
                    Action::Resolved { name: name.clone(), addresses: vec![address] },
                    now,
                );
            }
            Err(_) => self.up.push_back(Up::Resolve { name: name.clone() }),
        }
        self.lookup = Some(Lookup { number, name, socket });
        self.after(DNS_LIMIT, Action::DnsTimeout(number), now);
    }

    /// The name server's silence is an answer too.
    pub(super) fn dns_timeout(&mut self, number: u64, now: Instant) {
        if let Some(lookup) = self.lookup.take_if(|lookup| lookup.number == number) {
            self.looked_up(&lookup, &[], now);
        }
    }

    /// The name server's answer; one to a question no longer asked is ignored.
    pub(super) fn resolved(&mut self, name: &str, addresses: &[IpAddr], now: Instant) {
        if let Some(lookup) = self.lookup.take_if(|lookup| lookup.name == name) {
            self.looked_up(&lookup, addresses, now);
        }
    }

    fn looked_up(&mut self, lookup: &Lookup, addresses: &[IpAddr], now: Instant) {
        if let Some((id, generation)) = lookup.socket {
            return self.peer_found(id, generation, addresses.first().copied(), now);
        }
        if addresses.is_empty() {
            self.ram.last_error = SocketError::DnsFailed;
            return self.urc(&format!("+QIURC: \"dnsgip\",{}", SocketError::DnsFailed.number()), now);
        }
        self.urc(&format!("+QIURC: \"dnsgip\",0,{},{TTL_S}", addresses.len()), now);
        for address in addresses {
            self.urc(&format!("+QIURC: \"dnsgip\",\"{address}\""), now);
        }
    }
}
