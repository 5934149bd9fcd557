//! From the octets of a command line to its commands (V.250 §5). Executes nothing.

/// Longest command line taken; a longer one is answered with an error.
pub const MAX_LINE: usize = 2048;

/// One command of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A letter (perhaps after `&`) with its number: `E0`, `&F`, `I`.
    Basic {
        /// The letter, with `&` where it has one, in upper case.
        name: String,
        /// The number behind it; 0 when left out.
        number: u16,
    },
    /// `+NAME` in one of its four forms.
    Extended {
        /// With its `+`, in upper case.
        name: String,
        /// Which of the forms.
        form: Form,
    },
}

/// The form of an extended command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `+NAME`
    Execute,
    /// `+NAME?`
    Read,
    /// `+NAME=?`
    Test,
    /// `+NAME=` with arguments
    Set(Args),
}

/// One argument of a set command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg {
    /// Nothing between two commas.
    Empty,
    /// Without quotes: a number.
    Bare(String),
    /// Between double quotes.
    Quoted(String),
}

/// The arguments of a set command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Args(Vec<Arg>);

impl Args {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// A number at this place.
    pub fn number<T: std::str::FromStr>(&self, index: usize) -> Option<T> {
        match self.0.get(index)? {
            Arg::Bare(text) => text.parse().ok(),
            Arg::Empty | Arg::Quoted(_) => None,
        }
    }

    /// A number at this place, or `default` when it was left out; `None` when something else stands there.
    pub fn number_or<T: std::str::FromStr>(&self, index: usize, default: T) -> Option<T> {
        match self.0.get(index) {
            None | Some(Arg::Empty) => Some(default),
            Some(_) => self.number(index),
        }
    }

    /// A text in quotes at this place.
    pub fn quoted(&self, index: usize) -> Option<&str> {
        match self.0.get(index)? {
            Arg::Quoted(text) => Some(text),
            Arg::Empty | Arg::Bare(_) => None,
        }
    }

    /// What stands at this place, in quotes or not; empty when it was left out.
    pub fn text(&self, index: usize) -> &str {
        match self.0.get(index) {
            Some(Arg::Bare(text) | Arg::Quoted(text)) => text,
            Some(Arg::Empty) | None => "",
        }
    }
}

/// The commands of a line, in order; `None` when it holds no `AT` and is therefore noise.
///
/// `Err` stands for what cannot be understood; the commands before it are still executed.
pub fn parse(line: &str) -> Option<Vec<Result<Command, Malformed>>> {
    // What stands before the AT is noise (V.250 §5.2.1); `aT` does not count.
    let start = line.find("AT").into_iter().chain(line.find("at")).min()?;
    let mut rest = line[start + 2..].trim();
    let mut commands = Vec::new();
    while !rest.is_empty() {
        let parsed = if rest.starts_with('+') { extended(rest) } else { basic(rest) };
        match parsed {
            Ok((command, behind)) => {
                commands.push(Ok(command));
                rest = behind.trim_start();
            }
            Err(malformed) => {
                commands.push(Err(malformed));
                break;
            }
        }
    }
    Some(commands)
}

/// A command that cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

fn basic(text: &str) -> Result<(Command, &str), Malformed> {
    let (ampersand, rest) = match text.strip_prefix('&') {
        Some(rest) => ("&", rest),
        None => ("", text),
    };
    let letter = rest.chars().next().filter(char::is_ascii_alphabetic).ok_or(Malformed)?;
    let rest = &rest[1..];
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let number = if digits == 0 { 0 } else { rest[..digits].parse().map_err(|_| Malformed)? };
    let name = format!("{ampersand}{}", letter.to_ascii_uppercase());
    // Some hosts put a semicolon between basic commands too.
    let behind = rest[digits..].trim_start();
    Ok((Command::Basic { name, number }, behind.strip_prefix(';').unwrap_or(behind)))
}

fn extended(text: &str) -> Result<(Command, &str), Malformed> {
    let (text, behind) = split_at_semicolon(text);
    let end = text[1..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(text.len(), |end| end + 1);
    let name = text[..end].to_ascii_uppercase();
    let form = match text[end..].trim() {
        "" => Form::Execute,
        "?" => Form::Read,
        "=?" => Form::Test,
        rest => Form::Set(arguments(rest.strip_prefix('=').ok_or(Malformed)?)?),
    };
    if name.len() < 2 {
        return Err(Malformed);
    }
    Ok((Command::Extended { name, form }, behind))
}

fn split_at_semicolon(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ';' if !quoted => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}

fn arguments(text: &str) -> Result<Args, Malformed> {
    let mut args = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let (arg, behind) = if let Some(inside) = rest.strip_prefix('"') {
            let end = inside.find('"').ok_or(Malformed)?;
            (Arg::Quoted(inside[..end].to_owned()), inside[end + 1..].trim_start())
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let bare = rest[..end].trim();
            if bare.contains('"') {
                return Err(Malformed);
            }
            let arg = if bare.is_empty() { Arg::Empty } else { Arg::Bare(bare.to_owned()) };
            (arg, &rest[end..])
        };
        args.push(arg);
        if behind.is_empty() {
            return Ok(Args(args));
        }
        rest = behind.strip_prefix(',').ok_or(Malformed)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Command {
        let mut commands = parse(line).unwrap();
        assert_eq!(commands.len(), 1, "{commands:?}");
        commands.remove(0).unwrap()
    }

    #[test]
    fn all_four_forms_are_told_apart() {
        let form = |line| match one(line) {
            Command::Extended { name, form } => (name, form),
            other @ Command::Basic { .. } => panic!("{other:?}"),
        };
        assert_eq!(form("AT+CGSN"), ("+CGSN".into(), Form::Execute));
        assert_eq!(form("at+cereg?"), ("+CEREG".into(), Form::Read));
        assert_eq!(form("AT+CEREG=?"), ("+CEREG".into(), Form::Test));
        let (_, Form::Set(args)) = form("AT+QIOPEN=1,0,\"UDP\",\"a,b;c\",5683,,0") else { panic!() };
        assert_eq!(args.number::<u8>(0), Some(1));
        assert_eq!(args.quoted(3), Some("a,b;c"));
        assert_eq!((args.number::<u16>(5), args.number_or(5, 7), args.len()), (None, Some(7), 7));
    }

    #[test]
    fn several_commands_on_a_line_come_in_order() {
        let names: Vec<_> = parse("ATE0V1;+CMEE=1;+CEREG=2")
            .unwrap()
            .into_iter()
            .map(|command| match command.unwrap() {
                Command::Basic { name, number } => format!("{name}{number}"),
                Command::Extended { name, .. } => name,
            })
            .collect();
        assert_eq!(names, ["E0", "V1", "+CMEE", "+CEREG"]);
    }

    #[test]
    fn noise_before_at_is_skipped_and_noise_alone_is_no_command() {
        assert_eq!(one("\u{1a}AT+CSQ"), one("AT+CSQ"));
        assert_eq!(parse("hello"), None);
        assert_eq!(parse("aT"), None);
        assert_eq!(parse("AT"), Some(vec![]));
    }

    #[test]
    fn broken_quotes_and_tails_are_malformed() {
        for line in ["AT+X=\"a", "AT+X=\"a\"b", "AT+X=1\"a\"", "AT+", "AT+X!", "AT?", "ATE99999"] {
            assert!(parse(line).unwrap().iter().any(Result::is_err), "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics(line in "\\PC{0,60}", tail in "[AT+&\",;=?0-9A-Z]{0,40}") {
            let _ = parse(&line);
            let _ = parse(&format!("AT{tail}"));
        }
    }
}
