//! Final results and the numbers of errors, as this family words them.

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Final {
    /// `OK`
    Ok,
    /// `SEND OK`
    SendOk,
    /// `SEND FAIL`
    SendFail,
    /// Plain `ERROR`: unknown commands, and everything about sockets (`AT+QIGETERROR` tells more).
    Error,
    /// `+CME ERROR`, worded as `AT+CMEE` says.
    Cme(Cme),
}

/// Errors of the mobile equipment (TS 27.007 §9.2) that this modem knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cme {
    /// 3
    NotAllowed,
    /// 4
    NotSupported,
    /// 10
    SimNotInserted,
    /// 11
    SimPinRequired,
    /// 12
    SimPukRequired,
    /// 13
    SimFailure,
    /// 14
    SimBusy,
    /// 16
    IncorrectPassword,
    /// 30
    NoService,
    /// 50
    IncorrectParameters,
}

impl Cme {
    const fn number_and_text(self) -> (u16, &'static str) {
        match self {
            Self::NotAllowed => (3, "operation not allowed"),
            Self::NotSupported => (4, "operation not supported"),
            Self::SimNotInserted => (10, "SIM not inserted"),
            Self::SimPinRequired => (11, "SIM PIN required"),
            Self::SimPukRequired => (12, "SIM PUK required"),
            Self::SimFailure => (13, "SIM failure"),
            Self::SimBusy => (14, "SIM busy"),
            Self::IncorrectPassword => (16, "incorrect password"),
            Self::NoService => (30, "no network service"),
            Self::IncorrectParameters => (50, "incorrect parameters"),
        }
    }
}

impl Final {
    /// The line, for the setting of `AT+CMEE`: 0 plain, 1 number, 2 text.
    pub fn line(self, cmee: u8) -> String {
        match (self, cmee) {
            (Self::Ok, _) => "OK".into(),
            (Self::SendOk, _) => "SEND OK".into(),
            (Self::SendFail, _) => "SEND FAIL".into(),
            (Self::Error, _) | (Self::Cme(_), 0) => "ERROR".into(),
            (Self::Cme(cme), 1) => format!("+CME ERROR: {}", cme.number_and_text().0),
            (Self::Cme(cme), _) => format!("+CME ERROR: {}", cme.number_and_text().1),
        }
    }
}

/// Why the last socket command failed, as `AT+QIGETERROR` and `+QIOPEN:` number it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u16)]
pub enum SocketError {
    /// Nothing failed.
    #[default]
    None = 0,
    /// Bad arguments.
    InvalidParameters = 552,
    /// The service or mode does not exist here.
    NotSupported = 555,
    /// The stack did not take the data.
    WriteFailed = 558,
    /// The context is not active.
    ContextNotActive = 561,
    /// The socket number is taken.
    IdInUse = 563,
    /// Another name is being looked up.
    DnsBusy = 564,
    /// The name has no address.
    DnsFailed = 565,
    /// The peer cannot be reached.
    ConnectFailed = 566,
    /// No such socket, or it is closed.
    Closed = 567,
    /// The socket is still being opened.
    Busy = 568,
    /// The network dropped the context.
    ContextBroken = 570,
    /// Not in this state.
    NotAllowed = 572,
    /// Another socket has the local port.
    PortBusy = 574,
}

impl SocketError {
    /// The number.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The words of `AT+QIGETERROR`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::None => "operate successfully",
            Self::InvalidParameters => "invalid parameters",
            Self::NotSupported => "operation not supported",
            Self::WriteFailed => "socket write failed",
            Self::ContextNotActive => "open PDP context failed",
            Self::IdInUse => "socket identity has been used",
            Self::DnsBusy => "DNS busy",
            Self::DnsFailed => "DNS parse failed",
            Self::ConnectFailed => "socket connect failed",
            Self::Closed => "socket has been closed",
            Self::Busy => "operation busy",
            Self::ContextBroken => "PDP context broken down",
            Self::NotAllowed => "operation not allowed",
            Self::PortBusy => "port busy",
        }
    }
}
