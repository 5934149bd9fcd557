//! A pseudo-terminal whose far end is the virtual modem. Moves octets, decides nothing.
//!
//! A host may close its end and open it again, as with a modem that stays plugged in.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::ttyname;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

/// The kernel does not say when a host opens its end; it is looked for this often.
const LOOK_FOR_HOST: Duration = Duration::from_millis(20);

/// The modem's end of a pseudo-terminal.
#[derive(Debug)]
pub struct Pty {
    master: Master,
    device: PathBuf,
    link: Option<Link>,
}

#[derive(Debug)]
enum Master {
    /// No host has the other end open; reads say so (EIO), and the kernel's readiness says nothing.
    Alone(File),
    /// A host does, or did until a moment ago.
    Hosted(AsyncFd<File>),
    /// Between two pairs, or for ever when the second could not be had.
    Gone,
}

impl Pty {
    /// A new pseudo-terminal in raw mode; `link` becomes a symbolic link to it that stays the same.
    ///
    /// # Errors
    /// The system has no pseudo-terminal to give, or `link` is something that must not be replaced.
    pub fn open(link: Option<&Path>) -> io::Result<Self> {
        let (master, device) = open_pair()?;
        let link = link.map(|path| Link::make(path, &device)).transpose()?;
        Ok(Self { master: Master::Alone(master), device, link })
    }

    /// Where the host finds the modem: the link, or the device itself.
    pub fn path(&self) -> &Path {
        self.link.as_ref().map_or(&self.device, |link| &link.path)
    }

    /// The device, which may change when a host closes it.
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// Octets from the host; waits as long as there is no host. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The pseudo-terminal is broken.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let result = match &mut self.master {
                Master::Alone(master) => master.read(buffer),
                Master::Hosted(master) => {
                    match master.readable().await?.try_io(|master| master.get_ref().read(buffer)) {
                        Ok(result) => result,
                        Err(_would_block) => continue,
                    }
                }
                Master::Gone => return Err(io::ErrorKind::BrokenPipe.into()),
            };
            match result {
                Ok(count) if count > 0 => {
                    self.host_opened()?;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.host_opened()?,
                // Linux answers EIO, others nothing, while no host has the other end open.
                Err(error) if error.raw_os_error() != Some(Errno::EIO as i32) => return Err(error),
                Ok(_) | Err(_) => {
                    self.host_closed()?;
                    let _ = timeout(LOOK_FOR_HOST, std::future::pending::<()>()).await;
                }
            }
        }
    }

    /// Passes on as many octets as the host's buffer takes. Without a host they are gone, as on a wire.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when the host does not read.
    pub fn try_write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let Master::Hosted(master) = &self.master else { return Ok(octets.len()) };
        match master.get_ref().write(octets) {
            Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => Ok(octets.len()),
            result => result,
        }
    }

    fn host_opened(&mut self) -> io::Result<()> {
        self.master = match std::mem::replace(&mut self.master, Master::Gone) {
            Master::Alone(master) => Master::Hosted(watched(master)?),
            other => other,
        };
        Ok(())
    }

    /// A fresh pair for the next host: the old one keeps the last host's exclusive mode (TIOCEXCL), settings and
    /// unread octets, and nobody but root could open it again.
    fn host_closed(&mut self) -> io::Result<()> {
        if !matches!(self.master, Master::Hosted(_)) {
            return Ok(());
        }
        if self.link.is_none() {
            // Given back first, the same device name comes again, as a rule.
            self.master = Master::Gone;
        }
        let (master, device) = open_pair()?;
        if let Some(link) = &mut self.link {
            link.point_to(&device)?;
        }
        (self.master, self.device) = (Master::Alone(master), device);
        Ok(())
    }
}

fn open_pair() -> io::Result<(File, PathBuf)> {
    let pair = openpty(None, None)?;
    let device = ttyname(pair.slave.as_fd())?;
    let mut settings = tcgetattr(pair.slave.as_fd())?;
    cfmakeraw(&mut settings);
    tcsetattr(pair.slave.as_fd(), SetArg::TCSANOW, &settings)?;
    // The slave is closed here: only so can the kernel tell whether a host has it open.
    Ok((File::from(prepared(pair.master)?), device))
}

#[expect(
    deprecated,
    reason = "its unsafe successor asks for a descriptor that stays open: a File owns its own"
)]
fn watched(master: File) -> io::Result<AsyncFd<File>> {
    AsyncFd::new(master)
}

fn prepared(master: OwnedFd) -> io::Result<OwnedFd> {
    fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    fcntl(&master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(master)
}

/// A symbolic link under a name of the user's choice; removed with this value, if it is still ours.
#[derive(Debug)]
struct Link {
    path: PathBuf,
    target: PathBuf,
}

impl Link {
    fn make(path: &Path, target: &Path) -> io::Result<Self> {
        match std::fs::read_link(path) {
            // What an earlier run left behind.
            Ok(old) if old.starts_with("/dev/pts") => {}
            Ok(old) => return Err(refused(path, &format!("a link to {}", old.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return Err(refused(path, "not a symbolic link")),
        }
        let mut link = Self { path: path.to_owned(), target: PathBuf::new() };
        link.point_to(target)?;
        Ok(link)
    }

    /// Replaces the link in one step: at no moment is there none.
    fn point_to(&mut self, target: &Path) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{}", std::process::id()));
        let temporary = PathBuf::from(name);
        symlink(target, &temporary)?;
        std::fs::rename(&temporary, &self.path).inspect_err(|_| {
            let _ = std::fs::remove_file(&temporary);
        })?;
        target.clone_into(&mut self.target);
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if std::fs::read_link(&self.path).is_ok_and(|target| target == self.target) {
            // Nothing is left to do about a link that cannot be removed.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn refused(path: &Path, what: &str) -> io::Error {
    let text = format!("{} is {what}, and is left alone; name another path for the link", path.display());
    io::Error::new(io::ErrorKind::AlreadyExists, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_replaces_an_old_one_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("modem");
        symlink("/dev/pts/4711", &path).unwrap();
        let link = Link::make(&path, Path::new("/dev/pts/4712")).unwrap();
        assert_eq!(std::fs::read_link(&path).unwrap(), Path::new("/dev/pts/4712"));
        drop(link);
        assert!(std::fs::read_link(&path).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("modem");
        std::fs::write(&path, "precious").unwrap();
        assert!(Link::make(&path, Path::new("/dev/pts/1")).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");

        let path = folder.path().join("other");
        let link = Link::make(&path, Path::new("/dev/pts/1")).unwrap();
        std::fs::remove_file(&path).unwrap();
        symlink("/dev/pts/2", &path).unwrap();
        drop(link);
        assert_eq!(std::fs::read_link(&path).unwrap(), Path::new("/dev/pts/2"));
    }
}
