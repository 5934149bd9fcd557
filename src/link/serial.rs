//! The serial port of the modem: opens it, and moves octets between it and the loop. Knows no AT.

use std::io;
use std::time::Duration;

use serialport::{ErrorKind, SerialPort as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_serial::{SerialPortBuilderExt as _, SerialStream};

/// Octets read at once; a modem's longest answer to `AT+QIRD` fits.
const READ_OCTETS: usize = 2048;
/// Pieces of output that may wait for the port. The driver has one command in flight, so two are plenty.
const WRITE_QUEUE: usize = 16;
/// A port that takes nothing for so long is stuck (flow control, dead USB bridge).
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// What happens on an open port.
#[derive(Debug)]
pub enum Event {
    /// Octets from the modem.
    Bytes(Vec<u8>),
    /// The port is gone; nothing follows.
    Lost {
        /// Why, in a technician's words.
        reason: String,
    },
}

/// An open port; dropping it closes the port and ends its tasks.
#[derive(Debug)]
pub struct Port {
    to_modem: mpsc::Sender<Vec<u8>>,
    tasks: [tokio::task::AbortHandle; 2],
}

impl Port {
    /// Opens `path` at `baud`, 8N1, no flow control, and reports on it to `events` through `wrap`.
    ///
    /// # Errors
    /// Why the port cannot be used, in a technician's words.
    pub fn open<T: Send + 'static>(
        path: &str,
        baud: u32,
        events: mpsc::Sender<T>,
        wrap: impl Fn(Event) -> T + Clone + Send + 'static,
    ) -> Result<Self, String> {
        let mut stream =
            tokio_serial::new(path, baud).open_native_async().map_err(|error| explain(path, &error))?;
        assert_modem_lines(&mut stream);
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (to_modem, mut queue) = mpsc::channel::<Vec<u8>>(WRITE_QUEUE);
        let (read_events, read_wrap) = (events.clone(), wrap.clone());
        let reading = tokio::spawn(async move {
            let mut buffer = [0; READ_OCTETS];
            loop {
                let event = match reader.read(&mut buffer).await {
                    // An unplugged port reads as nothing, for ever.
                    Ok(0) => {
                        Event::Lost { reason: "the serial port was unplugged or its other end closed".into() }
                    }
                    Ok(count) => Event::Bytes(buffer[..count].to_vec()),
                    Err(error) => Event::Lost { reason: format!("reading the serial port failed: {error}") },
                };
                let over = matches!(event, Event::Lost { .. });
                if read_events.send(read_wrap(event)).await.is_err() || over {
                    return;
                }
            }
        });
        let writing = tokio::spawn(async move {
            while let Some(octets) = queue.recv().await {
                let reason = match timeout(WRITE_LIMIT, writer.write_all(&octets)).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => format!("writing to the serial port failed: {error}"),
                    Err(_) => format!("the serial port took nothing for {} s", WRITE_LIMIT.as_secs()),
                };
                // The loop may be gone already; then nobody needs to know.
                let _ = events.send(wrap(Event::Lost { reason })).await;
                return;
            }
        });
        Ok(Self { to_modem, tasks: [reading.abort_handle(), writing.abort_handle()] })
    }

    /// Passes octets to the modem.
    ///
    /// # Errors
    /// The port takes nothing any more (its loss is or will be reported as an event).
    pub fn write(&self, octets: Vec<u8>) -> io::Result<()> {
        self.to_modem
            .try_send(octets)
            .map_err(|_| io::Error::new(io::ErrorKind::WouldBlock, "the serial port does not keep up"))
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

/// Many USB modems stay mute until DTR is up. A pseudo-terminal has no such lines and says ENOTTY: no fault.
fn assert_modem_lines(stream: &mut SerialStream) {
    for result in [stream.write_data_terminal_ready(true), stream.write_request_to_send(true)] {
        if let Err(error) = result {
            tracing::debug!(%error, "port has no modem control lines");
        }
    }
}

fn explain(path: &str, error: &serialport::Error) -> String {
    match error.kind() {
        ErrorKind::NoDevice => {
            format!("{path}: there is no such port, or another program holds it ({error})")
        }
        ErrorKind::Io(io::ErrorKind::NotFound) => {
            format!("{path}: there is no such port; is the modem plugged in?")
        }
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => {
            format!("{path}: no permission; the user needs the group that owns it (often dialout)")
        }
        _ => format!("{path}: {error}"),
    }
}
