//! Web addresses, as far as keys and tokens depend on them.

/// Scheme, host in lower case and port of an address: a key or token goes only where all three are those of the address
/// that it is for. None for another scheme than http and https, or without a host.
pub fn origin<'a>(
    scheme: Option<&'a str>,
    host: Option<&str>,
    port: Option<u16>,
) -> Option<(&'a str, String, u16)> {
    let scheme = scheme?;
    let usual = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let host = host.filter(|host| !host.is_empty())?;
    Some((scheme, host.to_ascii_lowercase(), port.unwrap_or(usual)))
}
