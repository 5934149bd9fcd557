//! `[lwm2m.coap]`: transmission parameters.

use crate::coap::{BadParameter, Params};

use super::file::{self, File};
use super::{Fault, fault};

pub(super) fn transmission(file: &File, faults: &mut Vec<Fault>) -> Params {
    let given = &file.lwm2m.coap;
    let mut params = match given.profile {
        file::Profile::Lan => Params::lan(),
        file::Profile::Nbiot => Params::nbiot(),
    };
    override_with(&mut params, faults, "ack_timeout", given.ack_timeout, |p, value| {
        p.with_ack_timeout(value.0)
    });
    override_with(
        &mut params,
        faults,
        "ack_random_factor",
        given.ack_random_factor,
        Params::with_ack_random_factor,
    );
    override_with(&mut params, faults, "max_retransmit", given.max_retransmit, Params::with_max_retransmit);
    override_with(&mut params, faults, "nstart", given.nstart, Params::with_nstart);
    params
}

/// Sets one parameter if the file has it.
fn override_with<T>(
    params: &mut Params,
    faults: &mut Vec<Fault>,
    key: &str,
    given: Option<T>,
    set: fn(Params, T) -> Result<Params, BadParameter>,
) {
    let Some(value) = given else { return };
    match set(*params, value) {
        Ok(changed) => *params = changed,
        Err(problem) => {
            fault(faults, format!("lwm2m.coap.{key}"), problem.to_string(), "or leave it to the profile")
        }
    }
}
