//! Building a command line, and what to expect of its answer (V.250 §5).
//!
//! A command is complete before it is submitted: its text, the octets for the prompt, its time limits and the
//! final results that end it.

use std::fmt::{self, Display, Write};
use std::time::Duration;

/// Makers give 300 ms for most reads and settings; a busy radio stretches that.
const DEFAULT_LIMIT: Duration = Duration::from_secs(2);
const DEFAULT_PROMPT_LIMIT: Duration = Duration::from_secs(5);

/// Which final results end a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Finals {
    /// `OK`, or one of the failures.
    #[default]
    Standard,
    /// `SEND OK`, `SEND FAIL`, or one of the failures. An `OK` before these is passed over: some modems print one.
    Send,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bare,
    Basic,
    Execute,
    Read,
    Set,
}

/// One command line, what goes out at its prompt, and how long to wait for what.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    form: Form,
    /// The line without its carriage return.
    text: String,
    /// Where the name ends in `text`.
    name_len: usize,
    has_args: bool,
    payload: Option<Vec<u8>>,
    limit: Duration,
    prompt_limit: Duration,
    finals: Finals,
    secret: bool,
}

impl Command {
    /// `AT` alone: is anybody there, and in step?
    pub fn bare() -> Self {
        Self::new(Form::Bare, "")
    }

    /// A basic command, `E0` or `I` (V.250 §5.3).
    pub fn basic(name: &str) -> Self {
        Self::new(Form::Basic, name)
    }

    /// An extended command without parameters: `AT+CGSN`.
    pub fn execute(name: &str) -> Self {
        Self::new(Form::Execute, name)
    }

    /// An extended command's read form: `AT+CEREG?`.
    pub fn read(name: &str) -> Self {
        let mut command = Self::new(Form::Read, name);
        command.text.push('?');
        command
    }

    /// An extended command's set form: `AT+QIOPEN=` with the parameters that follow by [`Command::arg`],
    /// [`Command::quoted`], [`Command::hex`] and [`Command::empty`].
    pub fn set(name: &str) -> Self {
        let mut command = Self::new(Form::Set, name);
        command.text.push('=');
        command
    }

    fn new(form: Form, name: &str) -> Self {
        let mut text = String::from("AT");
        text.extend(name.chars().filter(|c| !c.is_control()));
        Self {
            form,
            name_len: text.len(),
            text,
            has_args: false,
            payload: None,
            limit: DEFAULT_LIMIT,
            prompt_limit: DEFAULT_PROMPT_LIMIT,
            finals: Finals::Standard,
            secret: false,
        }
    }

    /// A parameter as it is, for numbers. Control characters are left out: no parameter can end the line.
    pub fn arg(mut self, value: impl Display) -> Self {
        self.separate();
        let value = value.to_string();
        self.text.extend(value.chars().filter(|c| !c.is_control()));
        self
    }

    /// A string parameter in quotes. Quotes, backslashes and control characters are escaped as V.250 §5.4.2.2
    /// says (`\22`), so that no text can end the string or the line.
    pub fn quoted(mut self, value: impl Display) -> Self {
        self.separate();
        self.text.push('"');
        for c in value.to_string().chars() {
            if c == '"' || c == '\\' || c.is_ascii_control() {
                push_escaped(&mut self.text, c);
            } else if !c.is_control() {
                self.text.push(c);
            }
        }
        self.text.push('"');
        self
    }

    /// A parameter left out: only its comma is written.
    pub fn empty(mut self) -> Self {
        self.separate();
        self
    }

    /// Octets as hex digits in quotes, upper case.
    pub fn hex(mut self, octets: &[u8]) -> Self {
        self.separate();
        self.text.push('"');
        for octet in octets {
            push_hex(&mut self.text, *octet);
        }
        self.text.push('"');
        self
    }

    /// The modem will ask with the prompt `>`; then exactly these octets go out.
    pub fn payload(mut self, octets: Vec<u8>) -> Self {
        self.payload = Some(octets);
        self
    }

    /// Time for the final result, from when the line (or, with a prompt, the payload) went out. Default 2 s.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Time for the prompt, from when the line went out. Default 5 s.
    pub fn prompt_limit(mut self, limit: Duration) -> Self {
        self.prompt_limit = limit;
        self
    }

    /// Which final results end this command. Default [`Finals::Standard`].
    pub fn ends_with(mut self, finals: Finals) -> Self {
        self.finals = finals;
        self
    }

    /// The parameters are never shown, in no log and no trace.
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The command without parameters: `AT+QIOPEN`.
    pub fn name(&self) -> &str {
        &self.text[..self.name_len]
    }

    /// What the lines of its answer begin with: `+QIOPEN`; empty for a bare `AT`.
    pub fn prefix(&self) -> &str {
        &self.text["AT".len()..self.name_len]
    }

    /// Is this the read form, `AT+X?`
    pub fn is_read(&self) -> bool {
        self.form == Form::Read
    }

    /// The whole line without its carriage return, secrets included: for the modem, not for a log.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The octets for the prompt, if the command has one.
    pub fn payload_octets(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    /// Time for the final result.
    pub fn answer_limit(&self) -> Duration {
        self.limit
    }

    /// Time for the prompt.
    pub fn time_to_prompt(&self) -> Duration {
        self.prompt_limit
    }

    /// Which final results end it.
    pub fn finals(&self) -> Finals {
        self.finals
    }

    /// Must the parameters stay out of logs and traces?
    pub fn is_secret(&self) -> bool {
        self.secret
    }

    fn separate(&mut self) {
        if self.has_args {
            self.text.push(',');
        }
        self.has_args = true;
    }
}

/// The line as it may be shown: parameters of a secret command masked.
impl Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secret && self.has_args {
            return write!(f, "{}=***", self.name());
        }
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload_octets = self.payload.as_ref().map(Vec::len);
        write!(f, "Command({self}, payload_octets: {payload_octets:?})")
    }
}

fn push_escaped(text: &mut String, c: char) {
    let mut octets = [0; 4];
    for octet in c.encode_utf8(&mut octets).bytes() {
        text.push('\\');
        push_hex(text, octet);
    }
}

pub(super) fn push_hex(text: &mut String, octet: u8) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{octet:02X}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_form_is_written_as_v250_has_it() {
        assert_eq!(Command::bare().text(), "AT");
        assert_eq!(Command::basic("E0").text(), "ATE0");
        assert_eq!(Command::execute("+CGSN").text(), "AT+CGSN");
        assert_eq!(Command::read("+CEREG").text(), "AT+CEREG?");
        let open =
            Command::set("+QIOPEN").arg(1).arg(0).quoted("UDP").quoted("198.51.100.7").arg(5683).arg(0);
        assert_eq!(open.text(), r#"AT+QIOPEN=1,0,"UDP","198.51.100.7",5683,0"#);
        assert_eq!((open.name(), open.prefix()), ("AT+QIOPEN", "+QIOPEN"));
    }

    #[test]
    fn parameters_left_out_keep_their_commas() {
        let psm = Command::set("+CPSMS").arg(1).empty().empty().quoted("01000111").quoted("00000101");
        assert_eq!(psm.text(), r#"AT+CPSMS=1,,,"01000111","00000101""#);
        assert_eq!(Command::set("+CPSMS").empty().text(), "AT+CPSMS=");
    }

    #[test]
    fn octets_become_upper_case_hex_in_quotes() {
        let send = Command::set("+QISENDEX").arg(0).hex(&[0x40, 0x01, 0xAB]);
        assert_eq!(send.text(), r#"AT+QISENDEX=0,"4001AB""#);
    }

    #[test]
    fn a_secret_is_masked_wherever_it_could_be_printed() {
        let pin = Command::set("+CPIN").quoted("1234").secret();
        assert_eq!(pin.text(), r#"AT+CPIN="1234""#);
        assert_eq!(pin.to_string(), "AT+CPIN=***");
        assert!(!format!("{pin:?}").contains("1234"));
    }

    proptest! {
        #[test]
        fn no_parameter_can_end_the_line_or_the_string(text in ".*") {
            let command = Command::set("+X").quoted(&text).arg(&text);
            prop_assert!(command.text().chars().all(|c| !c.is_control()));
            let quoted = Command::set("+X").quoted(&text);
            prop_assert_eq!(quoted.text().matches('"').count(), 2);
        }
    }
}
