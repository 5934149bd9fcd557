//! Host names to addresses, by the system's resolver, within a time limit.

use std::net::IpAddr;
use std::time::Duration;

/// The system's resolver may take long when the network is down.
const LIMIT: Duration = Duration::from_secs(10);

/// The first address of `name`, IPv4 before IPv6.
///
/// # Errors
/// Why there is none, in a technician's words.
pub async fn resolve(name: &str) -> Result<IpAddr, String> {
    let found = match tokio::time::timeout(LIMIT, tokio::net::lookup_host((name, 0))).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(format!("{name}: {error}")),
        Err(_) => return Err(format!("{name}: the resolver did not answer within {} s", LIMIT.as_secs())),
    };
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses.first().copied().ok_or_else(|| format!("{name}: has no address"))
}
