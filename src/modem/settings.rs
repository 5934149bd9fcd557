//! Works through settings one by one: read, leave alone what holds, switch the radio off where that is needed, write.

use std::collections::VecDeque;

use tracing::{debug, info};

use crate::at::{Command, Line};

use super::dialect::Setting;

/// What to ask next.
#[derive(Debug)]
pub(super) enum Ask {
    /// This command.
    Command(Command),
    /// The radio must be off before this setting is written.
    RadioOff,
}

/// See the file's head.
#[derive(Debug, Default)]
pub(super) struct Settling {
    left: VecDeque<Setting>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Read,
    RadioOff,
    Write,
}

impl Settling {
    pub(super) fn new(settings: Vec<Setting>) -> Self {
        Self { left: settings.into(), phase: Phase::Read }
    }

    /// What to ask; `None` when all settings are done.
    pub(super) fn ask(&mut self) -> Option<Ask> {
        let setting = self.left.front()?;
        if self.phase == Phase::Read {
            match &setting.read {
                Some(read) => return Some(Ask::Command(read.clone())),
                None => self.phase = Phase::Write,
            }
        }
        Some(if self.phase == Phase::RadioOff { Ask::RadioOff } else { Ask::Command(setting.write.clone()) })
    }

    /// What was asked ended well. `radio_off`: the radio is known to be off.
    pub(super) fn passed(&mut self, lines: &[Line], radio_off: bool) {
        let Some(setting) = self.left.front() else { return };
        self.phase = match self.phase {
            Phase::Read if (setting.holds)(lines) => {
                debug!(setting = setting.what, "holds already");
                return self.next();
            }
            Phase::Read if setting.radio_off && !radio_off => Phase::RadioOff,
            Phase::Read | Phase::RadioOff => Phase::Write,
            Phase::Write => {
                info!(setting = setting.what, "setting written");
                return self.next();
            }
        };
    }

    /// What was asked was refused.
    ///
    /// # Errors
    /// The setting cannot be done without.
    pub(super) fn refused(&mut self, why: &str, radio_off: bool) -> Result<(), &'static str> {
        let Some(setting) = self.left.front() else { return Ok(()) };
        if self.phase == Phase::Read {
            // What cannot be read is not known to hold.
            self.phase = if setting.radio_off && !radio_off { Phase::RadioOff } else { Phase::Write };
            return Ok(());
        }
        if setting.vital {
            return Err(setting.what);
        }
        debug!(setting = setting.what, why, "setting passed over");
        self.next();
        Ok(())
    }

    /// The radio is asked to go off, not a setting to be read or written.
    pub(super) fn asks_radio_off(&self) -> bool {
        self.phase == Phase::RadioOff
    }

    fn next(&mut self) {
        self.left.pop_front();
        self.phase = Phase::Read;
    }
}
