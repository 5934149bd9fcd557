//! What the channel promises, each as a dialogue with a modem played by hand.

use proptest::prelude::*;

use super::*;
use crate::at::ErrorCode;

#[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
fn t0() -> Instant {
    Instant::now()
}

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// `+QIRD: <n>…` and `+QIURC: "recv",<id>,<n>…` announce octets.
fn counted(line: &str) -> Option<usize> {
    let (fields, at) = match crate::at::grammar::params(line, "+QIRD") {
        Some(fields) => (fields, 0),
        None => (crate::at::grammar::params(line, "+QIURC")?, 2),
    };
    fields.get(at)?.parse()
}

/// A channel with its clock and everything it has said.
struct Bench {
    channel: Channel,
    now: Instant,
}

impl Bench {
    fn out_of_step() -> Self {
        let mut channel = Channel::new(Settings { counted, trace: true, ..Settings::default() });
        let now = t0();
        channel.reset(now);
        Self { channel, now }
    }

    fn in_step() -> Self {
        let mut bench = Self::out_of_step();
        bench.find_step();
        bench
    }

    /// Lets the modem answer `AT`s until the channel is in step.
    fn find_step(&mut self) {
        for _ in 0..20 {
            if !self.sent().is_empty() {
                self.hear(b"\r\nOK\r\n");
            }
            if self.channel.is_ready() {
                self.events();
                return;
            }
            self.pass_deadline();
        }
        panic!("never in step");
    }

    fn submit(&mut self, command: Command) {
        self.channel.submit(command, self.now).unwrap();
        if self.channel.poll_timeout().is_some_and(|deadline| deadline.why == "at rest") {
            self.pass_deadline();
        }
    }

    fn hear(&mut self, octets: &[u8]) {
        self.channel.handle_input(octets, self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.channel.handle_timeout(self.now);
    }

    /// Goes on to the next deadline; gives its reason.
    fn pass_deadline(&mut self) -> &'static str {
        let deadline = self.channel.poll_timeout().unwrap();
        self.now = self.now.max(deadline.at);
        self.channel.handle_timeout(self.now);
        deadline.why
    }

    fn sent(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.channel.poll_transmit()).flatten().collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.channel.poll_event()).collect()
    }

    /// The one exchange that finished, and nothing else happened.
    fn finished(&mut self) -> Exchange {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        let Some(Event::Finished(exchange)) = events.pop() else { panic!("not finished") };
        exchange
    }

    fn trace(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.channel.poll_trace()).map(|line| line.text).collect()
    }
}

fn line(text: &str) -> Line {
    Line { text: text.to_owned(), payload: None }
}

fn urc(text: &str) -> Event {
    Event::Urc(line(text))
}

fn send(payload: &[u8]) -> Command {
    Command::set("+QISEND").arg(0).arg(payload.len()).payload(payload.to_vec()).ends_with(Finals::Send)
}

#[test]
fn an_answer_has_its_lines_and_its_final_result() {
    let mut bench = Bench::in_step();
    bench.submit(Command::execute("+CSQ"));
    assert_eq!(bench.sent(), b"AT+CSQ\r");
    bench.hear(b"\r\n+CSQ: 17,99\r\n\r\nOK\r\n");
    let exchange = bench.finished();
    assert_eq!(exchange.lines, [line("+CSQ: 17,99")]);
    assert_eq!(exchange.outcome, Ok(FinalResult::Ok));
    assert!(bench.channel.is_ready());
}

#[test]
fn the_echo_is_not_part_of_the_answer() {
    let mut bench = Bench::in_step();
    bench.submit(Command::execute("+CGSN"));
    bench.hear(b"AT+CGSN\r\r\n351358815178345\r\nOK\r\n");
    assert_eq!(bench.finished().lines, [line("351358815178345")]);
}

#[test]
fn a_refusal_says_which() {
    let mut bench = Bench::in_step();
    bench.submit(Command::read("+CPIN"));
    bench.hear(b"\r\n+CME ERROR: 14\r\n");
    let refused = FinalResult::CmeError(ErrorCode::Number(14));
    assert_eq!(bench.finished().outcome, Err(Failure::Refused(refused)));
    assert!(bench.channel.is_ready());
}

#[test]
fn only_one_command_is_in_flight() {
    let mut bench = Bench::in_step();
    bench.submit(Command::execute("+CSQ"));
    assert!(!bench.channel.is_ready());
    let second = Command::read("+CPIN");
    assert_eq!(bench.channel.submit(second.clone(), bench.now), Err(second));
}

#[test]
fn the_modem_rests_before_the_next_command() {
    let mut bench = Bench::in_step();
    bench.submit(Command::bare());
    bench.sent();
    bench.hear(b"OK\r\n");
    bench.events();
    bench.channel.submit(Command::execute("+CSQ"), bench.now).unwrap();
    assert_eq!(bench.sent(), b"");
    assert_eq!(bench.pass_deadline(), "at rest");
    assert_eq!(bench.sent(), b"AT+CSQ\r");
}

#[test]
fn unsolicited_lines_inside_an_answer_stand_aside() {
    let mut bench = Bench::in_step();
    bench.submit(Command::execute("+QCSQ"));
    bench.hear(b"+QIURC: \"pdpdeact\",1\r\n+QCSQ: \"NBIoT\",-67\r\nRDY\r\nOK\r\n");
    let events = bench.events();
    assert_eq!(events[..2], [urc("+QIURC: \"pdpdeact\",1"), urc("RDY")]);
    let Event::Finished(exchange) = &events[2] else { panic!("{events:?}") };
    assert_eq!(exchange.lines, [line("+QCSQ: \"NBIoT\",-67")]);
}

#[test]
fn the_payload_waits_for_the_prompt_and_is_sent_as_it_is() {
    let mut bench = Bench::in_step();
    bench.submit(send(b"\x40\x01\r\x1a"));
    assert_eq!(bench.sent(), b"AT+QISEND=0,4\r");
    bench.hear(b"AT+QISEND=0,4\r\r\n>");
    assert_eq!(bench.sent(), b"\x40\x01\r\x1a");
    bench.hear(b" \r\nSEND OK\r\n");
    let exchange = bench.finished();
    assert_eq!(exchange.outcome, Ok(FinalResult::SendOk));
    assert!(exchange.data_sent);
}

#[test]
fn a_payload_sent_back_and_an_ok_too_many_are_passed_over() {
    let mut bench = Bench::in_step();
    bench.submit(send(b"\x40\x01\r\nOK"));
    bench.hear(b"\r\n> \x40\x01\r\nOK\r\nOK\r\n\r\nSEND OK\r\n");
    assert_eq!(bench.finished().outcome, Ok(FinalResult::SendOk));
    assert_eq!(bench.channel.stats().stray_finals, 1);
}

#[test]
fn send_ok_may_be_glued_to_what_follows() {
    let mut bench = Bench::in_step();
    bench.submit(send(b"\x40\x01"));
    bench.hear(b"> \r\nSEND OK+QIURC: \"recv\",0,2\r\nxy\r\n");
    let events = bench.events();
    assert!(matches!(&events[0], Event::Finished(exchange) if exchange.outcome == Ok(FinalResult::SendOk)));
    let datagram = Line { text: "+QIURC: \"recv\",0,2".into(), payload: Some(b"xy".to_vec()) };
    assert_eq!(events[1], Event::Urc(datagram));
}

#[test]
fn an_error_in_place_of_the_prompt_sends_nothing() {
    let mut bench = Bench::in_step();
    bench.submit(send(b"\x40\x01"));
    bench.sent();
    bench.hear(b"\r\nERROR\r\n\r\n> ");
    let exchange = bench.finished();
    assert_eq!(exchange.outcome, Err(Failure::Refused(FinalResult::Error)));
    assert!(!exchange.data_sent);
    assert_eq!(bench.sent(), b"");
}

#[test]
fn counted_octets_are_taken_whatever_they_are() {
    let mut bench = Bench::in_step();
    bench.submit(Command::set("+QIRD").arg(0));
    bench.hear(b"\r\n+QIRD: 8,\"198.51.100.7\",5683\r\n\r\nOK\r\n>\x00\xff\r\n\r\nOK\r\n");
    let exchange = bench.finished();
    assert_eq!(exchange.lines.len(), 1);
    assert_eq!(exchange.lines[0].payload.as_deref(), Some(&b"\r\nOK\r\n>\x00"[..]));
}

#[test]
fn an_empty_read_has_an_empty_payload() {
    let mut bench = Bench::in_step();
    bench.submit(Command::set("+QIRD").arg(0));
    bench.hear(b"+QIRD: 0\r\n\r\nOK\r\n");
    assert_eq!(bench.finished().lines[0].payload.as_deref(), Some(&b""[..]));
}

#[test]
fn pushed_octets_may_come_inside_another_answer() {
    let mut bench = Bench::in_step();
    bench.submit(Command::execute("+CSQ"));
    bench.hear(b"+QIURC: \"recv\",0,4\r\nOK\r\n\r\n+CSQ: 1,99\r\nOK\r\n");
    let events = bench.events();
    let datagram = Line { text: "+QIURC: \"recv\",0,4".into(), payload: Some(b"OK\r\n".to_vec()) };
    assert_eq!(events[0], Event::Urc(datagram));
    assert!(matches!(&events[1], Event::Finished(exchange) if exchange.lines == [line("+CSQ: 1,99")]));
}

#[test]
fn a_block_that_is_cut_costs_the_step_but_not_the_channel() {
    let mut bench = Bench::in_step();
    bench.submit(Command::set("+QIRD").arg(0));
    bench.sent();
    bench.hear(b"+QIRD: 100\r\nabc");
    assert_eq!(bench.pass_deadline(), "at counted octets");
    let events = bench.events();
    assert!(matches!(&events[0], Event::Finished(exchange) if exchange.outcome == Err(Failure::LostStep)));
    assert_eq!(events[1], Event::LostStep { why: StepLoss::BlockCut });
    bench.find_step();
}

#[test]
fn a_slow_block_outlasts_the_limit_of_its_command() {
    let mut bench = Bench::in_step();
    bench.submit(Command::set("+QIRD").arg(0).limit(millis(500)));
    bench.hear(b"+QIRD: 2\r\na");
    bench.pass(millis(600));
    bench.hear(b"b\r\nOK\r\n");
    assert_eq!(bench.finished().outcome, Ok(FinalResult::Ok));
}

#[test]
fn a_length_beyond_belief_is_a_line_like_any_other() {
    let mut bench = Bench::in_step();
    bench.submit(Command::set("+QIRD").arg(0));
    bench.hear(b"+QIRD: 99999999\r\nOK\r\n");
    assert_eq!(bench.finished().lines, [line("+QIRD: 99999999")]);
}

#[test]
fn a_late_answer_is_not_taken_for_the_next_command() {
    let mut bench = Bench::in_step();
    bench.submit(Command::execute("+CSQ"));
    bench.sent();
    assert_eq!(bench.pass_deadline(), "at answer");
    let events = bench.events();
    let timed_out = Failure::TimedOut { waited: millis(2000) };
    assert!(matches!(&events[0], Event::Finished(exchange) if exchange.outcome == Err(timed_out.clone())));
    assert_eq!(events[1], Event::LostStep { why: StepLoss::AnswerMissing });

    // The answer comes right behind our AT, and the modem answers that as well.
    assert_eq!(bench.pass_deadline(), "at silence");
    assert_eq!(bench.sent(), b"AT\r");
    bench.hear(b"+CSQ: 9,9\r\nOK\r\n");
    bench.hear(b"AT\r\r\nOK\r\n");
    assert!(!bench.channel.is_ready());
    assert_eq!(bench.events(), []);
    // Not clean: once more after silence.
    assert_eq!(bench.pass_deadline(), "at silence");
    assert_eq!(bench.sent(), b"AT\r");
    bench.hear(b"OK\r\n");
    assert_eq!(bench.pass_deadline(), "at settling");
    assert_eq!(bench.events(), [Event::InStep]);

    bench.submit(Command::read("+CFUN"));
    bench.hear(b"+CFUN: 1\r\nOK\r\n");
    assert_eq!(bench.finished().lines, [line("+CFUN: 1")]);
}

#[test]
fn late_octets_of_a_read_are_still_counted() {
    let mut bench = Bench::in_step();
    bench.submit(Command::set("+QIRD").arg(0));
    bench.sent();
    bench.pass_deadline();
    bench.events();
    bench.hear(b"+QIRD: 4\r\nRDY\n\r\nOK\r\n");
    assert_eq!(bench.events(), []);
    bench.find_step();
}

#[test]
fn unsolicited_lines_are_heard_while_out_of_step() {
    let mut bench = Bench::out_of_step();
    bench.hear(b"\r\nRDY\r\n+CFUN: 1\r\n+QIURC: \"recv\",0,1\r\nx\r\n");
    assert_eq!(bench.events().len(), 3);
}

#[test]
fn a_missing_prompt_is_made_up_for_with_as_many_ats_as_the_modem_swallows() {
    let payload = vec![0x40; 1000];
    let mut bench = Bench::in_step();
    bench.submit(send(&payload));
    bench.sent();
    assert_eq!(bench.pass_deadline(), "at prompt");
    let events = bench.events();
    let Event::Finished(exchange) = &events[0] else { panic!("{events:?}") };
    assert_eq!((&exchange.outcome, exchange.data_sent), (&Err(Failure::PromptMissing), false));
    assert_eq!(events[1], Event::LostStep { why: StepLoss::PromptMissing });

    // The prompt was lost on the way: the modem takes 1000 octets for payload.
    let mut swallowed = 0;
    let mut probes = 0;
    while swallowed < payload.len() {
        bench.pass_deadline();
        let sent = bench.sent();
        assert!(sent.chunks(3).all(|at| at == b"AT\r"));
        swallowed += sent.len();
        probes += usize::from(!sent.is_empty());
    }
    assert!(probes <= 6, "{probes} probes");
    bench.hear(b"\r\nSEND OK\r\n");
    assert_eq!(bench.events(), []);
    bench.find_step();
}

#[test]
fn payload_in_flight_is_unknown_when_the_answer_is_missing() {
    let mut bench = Bench::in_step();
    bench.submit(send(b"\x40\x01").limit(millis(120_000)));
    bench.hear(b"> ");
    bench.pass(millis(119_999));
    assert_eq!(bench.events(), []);
    bench.pass(millis(1));
    let events = bench.events();
    assert!(
        matches!(&events[0], Event::Finished(exchange) if exchange.data_sent && exchange.outcome.is_err())
    );
}

#[test]
fn a_silent_modem_is_told_again_and_again_and_never_given_up() {
    let mut bench = Bench::out_of_step();
    let mut waited = Vec::new();
    for _ in 0..30 {
        bench.pass_deadline();
        for event in bench.events() {
            let Event::Silent { waited: w } = event else { panic!("{event:?}") };
            waited.push(w.as_secs());
        }
    }
    assert_eq!(waited, [6, 12, 18, 24]);
    bench.find_step();
}

#[test]
fn a_modem_that_answers_in_digits_is_told_to_use_words() {
    let mut bench = Bench::out_of_step();
    bench.pass_deadline();
    assert_eq!(bench.sent(), b"AT\r");
    bench.hear(b"AT\r0\r");
    bench.pass_deadline();
    assert_eq!(bench.sent(), b"ATV1\r");
    bench.hear(b"ATV1\r\r\nOK\r\n");
    bench.pass_deadline();
    assert_eq!(bench.events(), [Event::InStep]);
}

#[test]
fn a_modem_that_chatters_is_probed_all_the_same() {
    let mut bench = Bench::out_of_step();
    for _ in 0..60 {
        bench.hear(b"F1: 0000 0000\r\n");
        bench.pass(millis(100));
    }
    assert!(bench.sent().starts_with(b"AT\r"));
}

#[test]
fn an_error_to_a_probe_is_followed_by_another() {
    let mut bench = Bench::out_of_step();
    bench.pass_deadline();
    bench.sent();
    // The AT ended a line that somebody else had begun.
    bench.hear(b"\r\nERROR\r\n");
    assert_eq!(bench.pass_deadline(), "at silence");
    assert_eq!(bench.sent(), b"AT\r");
    bench.hear(b"OK\r\n");
    bench.pass_deadline();
    assert_eq!(bench.events(), [Event::InStep]);
}

#[test]
fn reset_ends_the_command_in_flight_and_begins_anew() {
    let mut bench = Bench::in_step();
    bench.submit(Command::set("+QIACT").arg(1).limit(millis(150_000)));
    bench.channel.reset(bench.now);
    assert_eq!(bench.finished().outcome, Err(Failure::LostStep));
    assert_eq!(bench.sent(), b"");
    bench.find_step();
}

#[test]
fn a_dead_data_call_ends_the_command_and_its_real_result_is_awaited() {
    let mut bench = Bench::in_step();
    bench.submit(Command::execute("+CSQ"));
    bench.hear(b"NO CARRIER\r\n");
    let events = bench.events();
    let refused = Failure::Refused(FinalResult::NoCarrier);
    assert!(matches!(&events[0], Event::Finished(exchange) if exchange.outcome == Err(refused.clone())));
    assert_eq!(events[1], Event::LostStep { why: StepLoss::CallEnded });
    bench.hear(b"+CSQ: 1,99\r\nOK\r\n");
    assert_eq!(bench.events(), []);
}

#[test]
fn final_results_that_nobody_waits_for_are_counted_and_dropped() {
    let mut bench = Bench::in_step();
    bench.hear(b"ERROR\r\nNO CARRIER\r\nOK\r\n");
    assert_eq!(bench.events(), []);
    assert_eq!(bench.channel.stats().stray_finals, 3);
}

#[test]
fn before_the_port_is_open_nothing_happens() {
    let mut channel = Channel::new(Settings::default());
    let now = t0();
    channel.handle_input(b"RDY\r\n", now);
    channel.handle_timeout(now);
    assert_eq!((channel.poll_event(), channel.poll_timeout(), channel.poll_transmit()), (None, None, None));
    assert!(channel.submit(Command::bare(), now).is_err());
}

#[test]
fn answers_and_unsolicited_lines_stay_within_their_bounds() {
    let mut bench = Bench::in_step();
    for _ in 0..2 * MAX_URCS {
        bench.hear(b"+QIND: x\r\n");
    }
    assert_eq!(bench.events().len(), MAX_URCS);
    bench.submit(Command::execute("+CLAC"));
    for _ in 0..2 * MAX_ANSWER_LINES {
        bench.hear(b"+CLAC: x\r\n");
    }
    bench.hear(b"OK\r\n");
    assert_eq!(bench.finished().lines.len(), MAX_ANSWER_LINES);
    let dropped = MAX_URCS + MAX_ANSWER_LINES;
    assert_eq!(bench.channel.stats().lines_dropped, u64::try_from(dropped).unwrap());
}

#[test]
fn the_trace_shows_both_sides_and_no_secret() {
    let mut bench = Bench::in_step();
    bench.trace();
    bench.submit(Command::set("+CPIN").quoted("1234").secret());
    bench.hear(b"AT+CPIN=\"1234\"\r\r\nOK\r\n");
    bench.submit(send(b"\x40\x01"));
    bench.hear(b"\r\n> \r\nSEND OK\r\n");
    assert_eq!(
        bench.trace(),
        ["AT+CPIN=***", "AT+CPIN=***", "OK", "AT+QISEND=0,2", ">", "<40 01>", "SEND OK"]
    );
}

/// What a channel says to `input` cut at `cuts`: it is out of step, idle, reading or sending.
fn told(state: u8, input: &[u8], cuts: &[usize]) -> (Vec<Event>, Vec<u8>, Option<&'static str>) {
    let mut bench = if state == 0 { Bench::out_of_step() } else { Bench::in_step() };
    match state {
        2 => bench.submit(Command::set("+QIRD").arg(0)),
        3 => bench.submit(send(b"S\x01\r\n")),
        _ => {}
    }
    let mut rest = input;
    for cut in cuts {
        let (chunk, tail) = rest.split_at(cut % (rest.len() + 1));
        bench.hear(chunk);
        rest = tail;
    }
    bench.hear(rest);
    let why = bench.channel.poll_timeout().map(|deadline| deadline.why);
    (bench.events(), bench.sent(), why)
}

/// Octets that modems send, and others.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            &b"\r\n"[..],
            b"OK\r\n",
            b"SEND OK",
            b"ERROR\r\n",
            b"> ",
            b"+QIRD: 5\r\n",
            b"+QIURC: \"recv\",0,3\r\n",
            b"+CSQ: 1,99\r\n",
            b"AT\r",
            b"S\x01\r\n",
            b"NO CARRIER\r\n",
            b"0\r\n",
        ])
        .prop_map(<[u8]>::to_vec),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn chunking_never_changes_what_is_told(
        state in 0u8..4,
        input in input(),
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
    ) {
        prop_assert_eq!(told(state, &input, &[]), told(state, &input, &cuts));
    }

    #[test]
    fn no_input_panics_and_step_is_always_found_again(
        chunks in proptest::collection::vec((input(), 0u64..3000), 0..12),
        payload in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        let mut bench = Bench::in_step();
        let mut submitted = 0;
        let mut finished = 0;
        for (chunk, wait) in chunks {
            if bench.channel.submit(send(&payload), bench.now).is_ok() {
                submitted += 1;
            }
            bench.hear(&chunk);
            bench.pass(millis(wait));
            finished += bench.events().iter().filter(|event| matches!(event, Event::Finished(_))).count();
            prop_assert!(finished <= submitted);
        }
        bench.channel.reset(bench.now);
        finished += bench.events().iter().filter(|event| matches!(event, Event::Finished(_))).count();
        prop_assert_eq!(finished, submitted);
        bench.sent();
        bench.find_step();
    }

    #[test]
    fn a_passed_deadline_is_never_left_standing(chunks in proptest::collection::vec(input(), 0..6)) {
        let mut bench = Bench::in_step();
        for chunk in chunks {
            let _ = bench.channel.submit(send(b"\x40\x01"), bench.now);
            bench.hear(&chunk);
            for _ in 0..8 {
                let Some(deadline) = bench.channel.poll_timeout() else { break };
                bench.now = bench.now.max(deadline.at);
                bench.channel.handle_timeout(bench.now);
                let next = bench.channel.poll_timeout();
                prop_assert!(next.is_none_or(|next| next.at > bench.now), "{next:?}");
            }
            bench.events();
        }
    }
}
