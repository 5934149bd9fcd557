//! Any octets at any time, with any command in flight: nothing panics, every command finishes once, no deadline is
//! left standing, and step is found again as soon as the modem answers.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use nbgate::at::{Channel, Command, Event, Finals, Settings, grammar, responses};

fuzz_target!(|input: Vec<(u8, u16, &[u8])>| {
    let mut now = Instant::now();
    let mut channel = Channel::new(Settings { counted, trace: true, ..Settings::default() });
    channel.reset(now);
    let (mut submitted, mut finished) = (0u32, 0u32);
    for (kind, millis, octets) in input {
        submitted += u32::from(channel.submit(command(kind), now).is_ok());
        channel.handle_input(octets, now);
        now += Duration::from_millis(millis.into());
        channel.handle_timeout(now);
        finished += drain(&mut channel);
        let open = submitted - finished;
        assert!(open <= 1);
        assert!(channel.poll_timeout().is_none_or(|deadline| deadline.at > now || open == 1));
    }
    channel.reset(now);
    finished += drain(&mut channel);
    assert_eq!(submitted, finished);
    for _ in 0..8 {
        if channel.is_ready() {
            return;
        }
        now = channel.poll_timeout().map_or(now, |deadline| deadline.at);
        channel.handle_timeout(now);
        if channel.poll_transmit().is_some() {
            channel.handle_input(b"\r\nOK\r\n", now);
        }
    }
    panic!("never in step");
});

fn command(kind: u8) -> Command {
    match kind % 4 {
        0 => Command::read("+CEREG"),
        1 => Command::execute("+CGSN").secret(),
        2 => Command::set("+QIRD").arg(0),
        _ => Command::set("+QISEND").arg(0).arg(4).payload(b"@\x01\r\n".to_vec()).ends_with(Finals::Send),
    }
}

fn counted(line: &str) -> Option<usize> {
    grammar::params(line, "+QIRD")?.first()?.parse()
}

/// Empties the channel, reads every line in every way, and counts the commands that finished.
fn drain(channel: &mut Channel) -> u32 {
    let mut finished = 0;
    while channel.poll_transmit().is_some() {}
    while channel.poll_trace().is_some() {}
    while let Some(event) = channel.poll_event() {
        match event {
            Event::Finished(exchange) => {
                finished += 1;
                let _ = responses::imei(&exchange.lines);
                let _ = responses::identity_text(&exchange.lines);
                exchange.lines.iter().for_each(|line| read(&line.text));
            }
            Event::Urc(line) => read(&line.text),
            Event::LostStep { .. } | Event::InStep | Event::Silent { .. } => {}
        }
    }
    finished
}

fn read(line: &str) {
    let _ = responses::registration(line, responses::RegistrationForm::Urc);
    let _ = (responses::sim_state(line), responses::operator(line));
    let _ = (responses::functionality(line), responses::pdp_context(line));
}
