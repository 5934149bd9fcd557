//! `nbgate lab server --script`: plays a platform's opening against the client that registers, and judges it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::super::output::say;
use super::show::{event_json, event_text};
use crate::lab::server::{ANSWER_WITHIN, End, Event, Opening, Step};
use crate::lab::server_edge::Edge;
use crate::link::clock;

/// OneNET's: waits for a Register, asks everything at once, and ends when the last request is over.
pub(super) async fn onenet(mut edge: Edge, limit: Duration, as_json: bool) -> anyhow::Result<()> {
    let address = edge.local_address()?;
    if as_json {
        say(json!({ "event": "ready", "coap": format!("coap://{address}") }));
    } else {
        say(format_args!("OneNET's opening at coap://{address}; waiting for a Register"));
    }
    let mut opening = registered(&mut edge, clock::now() + limit, as_json).await?;
    while !opening.is_over() {
        while let Some(order) = opening.next_order() {
            let id = edge.command(order);
            opening.asked(id, clock::now());
        }
        let event = edge.next().await.context("the UDP socket broke")?;
        if let Event::Registered { .. } | Event::Deregistered { .. } | Event::Expired { .. } = &event {
            show(&event, &edge, as_json);
        }
        if let Event::Updated { endpoint, objects: true, .. } = &event {
            if let Some(registration) = edge.server().registration(endpoint) {
                opening.go_on(registration.objects());
            }
        }
        if let Some(step) = opening.handle_event(&event, clock::now()) {
            show_step(step, as_json);
        }
    }
    verdict(&opening, as_json)
}

/// The opening for the first client that registers.
async fn registered(edge: &mut Edge, deadline: std::time::Instant, as_json: bool) -> anyhow::Result<Opening> {
    loop {
        let Ok(event) = timeout_at(Instant::from_std(deadline), edge.next()).await else {
            bail!("no registration in time");
        };
        let event = event.context("the UDP socket broke")?;
        show(&event, edge, as_json);
        if let Event::Registered { endpoint, .. } = &event {
            let registration = edge.server().registration(endpoint);
            return registration.map(Opening::new).context("the registration is gone already");
        }
    }
}

fn show(event: &Event, edge: &Edge, as_json: bool) {
    let registration = match event {
        Event::Registered { endpoint, .. } => edge.server().registration(endpoint),
        _ => None,
    };
    if as_json {
        say(event_json(event, registration));
    } else {
        say(event_text(event, registration));
    }
}

fn show_step(step: &Step, as_json: bool) {
    let took = step.took.as_secs_f64();
    if as_json {
        say(json!({
            "event": "step", "request": step.what, "took_s": took,
            "ok": step.end == End::Good, "why": why(&step.end),
        }));
    } else {
        let end = why(&step.end).unwrap_or_else(|| "answered".into());
        say(format_args!("{took:7.3} s  {:<28} {end}", step.what));
    }
}

fn why(end: &End) -> Option<String> {
    match end {
        End::Good => None,
        End::Late => Some(format!("answered after more than {} s", ANSWER_WITHIN.as_secs())),
        End::Bad(why) => Some(why.clone()),
    }
}

fn verdict(opening: &Opening, as_json: bool) -> anyhow::Result<()> {
    let steps = opening.steps();
    let good = steps.iter().filter(|step| step.end == End::Good).count();
    let slowest = steps.iter().map(|step| step.took).max().unwrap_or_default().as_secs_f64();
    if as_json {
        say(json!({
            "event": "verdict", "ok": opening.passed(), "ep": opening.endpoint(),
            "requests": steps.len(), "good": good, "slowest_s": slowest,
        }));
    } else {
        let word = if opening.passed() { "passed" } else { "FAILED" };
        say(format_args!(
            "{word}: {good} of {} requests well answered within {} s, the slowest took {slowest:.3} s",
            steps.len(),
            ANSWER_WITHIN.as_secs()
        ));
    }
    if !opening.passed() {
        bail!("{} of {} requests were not answered as OneNET needs it", steps.len() - good, steps.len());
    }
    Ok(())
}
