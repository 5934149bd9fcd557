//! A [`Report`] as a page that a technician reads. What came from outside cannot steer the terminal.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::log::escaped;
use super::report::{Current, Link, Mapping, Report};

/// The page; it says how many values it leaves out.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a>(pub &'a Report);

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let up = duration(report.uptime_s);
        writeln!(f, "nbgate {}  {:?}, running for {up}", report.version, report.health)?;
        for reason in &report.reasons {
            writeln!(f, "  ! {}", escaped(reason))?;
        }
        let endpoint = report.endpoint.as_deref().unwrap_or("not known yet");
        row(f, "endpoint", endpoint)?;
        row(f, "link", &link(&report.link))?;
        row(f, "modem", &modem(&report.link))?;
        row(f, "radio", &radio(&report.link))?;
        let link = &report.link;
        row(
            f,
            "traffic",
            &format!(
                "{} octets up in {} datagrams, {} down in {}, {} resends",
                link.octets_up, link.datagrams_up, link.octets_down, link.datagrams_down, link.resends
            ),
        )?;
        row(f, "broker", &broker(report))?;
        row(f, "store", &store(report))?;
        for server in &report.servers {
            let mut text = server.state.clone();
            push(&mut text, "because of", server.trouble.as_deref());
            let at = [("at", &server.location), ("address", &server.address)];
            for (name, value) in at {
                push(&mut text, name, value.as_deref());
            }
            push(&mut text, "updated", server.updated_s_ago.map(ago).as_deref());
            push(&mut text, "expires in", server.expires_in_s.map(duration).as_deref());
            // Writing to a text cannot fail.
            let _ = write!(text, ", {} observations", server.observations);
            row(f, &format!("server {}", server.short_server_id), &text)?;
        }
        let (samples, messages) = (&report.samples, &report.messages);
        row(
            f,
            "messages",
            &format!(
                "{} received, {} for no mapping; {} published, {} orders confirmed, {} unavailable, {} failed",
                messages.received,
                messages.unmatched,
                messages.published,
                messages.confirmed,
                messages.unavailable,
                messages.failed
            ),
        )?;
        row(
            f,
            "samples",
            &format!(
                "{} received = {} reported + {} superseded + {} refused + {} dropped + {} pending",
                samples.received,
                samples.reported,
                samples.superseded,
                samples.refused,
                samples.dropped,
                samples.pending
            ),
        )?;
        refusals(f, report)?;
        mappings(f, report)?;
        values(f, report)
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    if text.is_empty() { Ok(()) } else { writeln!(f, "{name:<10} {}", escaped(text)) }
}

fn refusals(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    if !report.refusals.is_empty() {
        writeln!(f, "\nrefused of late")?;
    }
    for refusal in &report.refusals {
        let (source, why) = (escaped(&refusal.source), escaped(&refusal.why));
        writeln!(f, "  {source}: {why} ({}x, last {})", refusal.times, ago(refusal.last_s_ago))?;
    }
    Ok(())
}

fn mappings(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    if report.mappings_known > 0 {
        writeln!(f, "\nmappings")?;
    }
    table(f, &report.mappings.iter().map(mapping).collect::<Vec<_>>())?;
    left_out(f, report.mappings_known, report.mappings.len())
}

fn values(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    if report.values_known > 0 {
        writeln!(f, "\nvalues")?;
    }
    table(f, &report.values.iter().map(cells).collect::<Vec<_>>())?;
    left_out(f, report.values_known, report.values.len())
}

/// Columns as wide as their widest cell, the third and fourth with their ends below each other.
fn table(f: &mut fmt::Formatter<'_>, rows: &[[String; 5]]) -> fmt::Result {
    let width = |at: usize| rows.iter().map(|cells| cells[at].chars().count()).max().unwrap_or(0);
    let [w0, w1, w2, w3] = [width(0), width(1), width(2), width(3)];
    for [first, second, third, fourth, last] in rows {
        let row = format!("  {first:<w0$}  {second:<w1$}  {third:>w2$}  {fourth:>w3$}  {last}");
        writeln!(f, "{}", row.trim_end())?;
    }
    Ok(())
}

fn left_out(f: &mut fmt::Formatter<'_>, known: usize, shown: usize) -> fmt::Result {
    match known.saturating_sub(shown) {
        0 => Ok(()),
        more => writeln!(f, "  … and {more} more (--all)"),
    }
}

/// Topic; path, value with unit and age of the last good value; how many came.
fn mapping(mapping: &Mapping) -> [String; 5] {
    let counts = format!("{} values, {} refused", mapping.values, mapping.refused);
    match mapping.last.as_ref().map(cells) {
        Some([path, _, value, age, _]) => [escaped(&mapping.topic), path, value, age, counts],
        None => {
            let object = format!("/{}", mapping.object);
            [escaped(&mapping.topic), object, "no value yet".to_owned(), String::new(), counts]
        }
    }
}

/// Path, what the instance stands for, value with unit, age, name.
fn cells(value: &Current) -> [String; 5] {
    let text = match &value.value {
        serde_json::Value::String(text) => escaped(text),
        serde_json::Value::Null => "not taken".to_owned(),
        other => other.to_string(),
    };
    let unit = if value.unit.is_empty() { String::new() } else { format!(" {}", value.unit) };
    [value.path.clone(), escaped(&value.key), text + &unit, ago(value.age_s), value.name.clone()]
}

fn link(link: &Link) -> String {
    let mut text = link.state.clone();
    push(&mut text, "because of", link.trouble.as_deref());
    push(&mut text, "address", link.address.as_deref());
    push(&mut text, "APN", link.apn.as_deref());
    text
}

fn modem(link: &Link) -> String {
    let names = [&link.manufacturer, &link.model, &link.firmware];
    let mut text = names.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
    if !text.is_empty() {
        push(&mut text, "IMEI", link.imei.as_deref());
        push(&mut text, "IMSI", link.imsi.as_deref());
        push(&mut text, "ICCID", link.iccid.as_deref());
    }
    text
}

fn radio(link: &Link) -> String {
    if link.manufacturer.is_none() {
        return String::new();
    }
    let mut text = link.registration.clone();
    push(&mut text, "operator", link.operator.as_deref());
    push(&mut text, "technology", link.technology.as_deref());
    let figure = |number: Option<i16>, unit: &str| number.map(|number| format!("{number} {unit}"));
    push(&mut text, "RSRP", figure(link.rsrp_dbm, "dBm").as_deref());
    push(&mut text, "RSRQ", figure(link.rsrq_db, "dB").as_deref());
    push(&mut text, "RSSI", figure(link.rssi_dbm, "dBm").as_deref());
    push(&mut text, "SINR", link.sinr_db.map(|sinr| format!("{sinr} dB")).as_deref());
    push(&mut text, "cell", link.cell_id.map(|cell| format!("{cell:X}")).as_deref());
    push(&mut text, "band", link.band.map(|band| band.to_string()).as_deref());
    text
}

fn broker(report: &Report) -> String {
    let broker = &report.broker;
    let mut text = if broker.connected { "connected" } else { "not connected" }.to_owned();
    push(&mut text, "for", broker.for_s.map(duration).as_deref());
    push(&mut text, "because of", Some(broker.reason.as_str()).filter(|reason| !reason.is_empty()));
    // Writing to a text cannot fail.
    let _ = write!(text, ", connections since start: {}", broker.connections);
    text
}

fn store(report: &Report) -> String {
    let store = &report.store;
    if store.reading {
        return "being read".to_owned();
    }
    let mut text = if store.trouble.is_some() { "keeps nothing" } else { "works" }.to_owned();
    push(&mut text, "because of", store.trouble.as_deref());
    // Writing to a text cannot fail.
    let _ = write!(text, ", back from earlier runs: {}, changes to write: {}", store.restored, store.waiting);
    text
}

fn push(text: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        // Writing to a text cannot fail.
        let _ = write!(text, ", {name} {value}");
    }
}

fn duration(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

fn ago(seconds: u64) -> String {
    format!("{} ago", duration(seconds))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{mapping, snapshot, value};
    use super::*;

    #[test]
    fn the_page_shows_all_parts_and_how_many_values_it_leaves_out() {
        let mut snapshot = snapshot();
        snapshot.values = 3;
        let values = [9, 10].map(|instance| crate::gateway::snapshot::ValueStatus {
            last: snapshot.taken - Duration::from_secs(u64::from(instance) * 9),
            ..value(instance)
        });
        let mappings = [mapping(0, Some(snapshot.taken - Duration::from_secs(9))), mapping(1, None)];
        snapshot.mappings = 3;
        insta::assert_snapshot!(Page(&Report::new(&snapshot, &mappings, &values)));
    }

    #[test]
    fn a_long_text_does_not_make_the_page_wide() {
        let long = crate::lwm2m::Value::String("ä".repeat(100_000));
        let values = [crate::gateway::snapshot::ValueStatus { value: long, ..value(9) }];
        let page = Page(&Report::new(&snapshot(), &[], &values)).to_string();
        assert!(page.contains("ää… (200000 octets)") && page.len() < 5000, "{page}");
    }

    #[test]
    fn a_service_that_has_just_started_has_a_page_too() {
        let fresh = crate::gateway::snapshot::Snapshot {
            endpoint: None,
            link: crate::net::LinkFacts { state: "starting", ..Default::default() },
            broker: Default::default(),
            servers: vec![],
            refusals: vec![],
            mappings: 0,
            values: 0,
            ..snapshot()
        };
        insta::assert_snapshot!(Page(&Report::new(&fresh, &[], &[])));
    }
}
