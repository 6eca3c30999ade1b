//! URLs and IP networks.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value as Json};

use super::super::print::with_text;
use super::convert::{float, whole};
use super::{Outcome, exactly, go_string, map_of, text_of};

/// The maximum number of new bits for `net.CIDRSubnets`, which bounds the number of subnets.
const MAX_NEW_BITS: u8 = 14;

/// The characters that Go escapes in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');
/// The characters that Go escapes in query values.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b' ');

pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    Some(match name {
        "urlParse" => exactly(arguments).and_then(|[text]| {
            let address = Address::read(text_of(text)?)?;
            Ok(Json::Object(address.fields(str::to_owned)))
        }),
        "conv.URL" => exactly(arguments).and_then(|[value]| {
            let text = go_string(value);
            let fields = Address::read(&text)?.fields(|name| match name {
                "query" => "RawQuery".to_owned(),
                name => name[..1].to_uppercase() + &name[1..],
            });
            Ok(with_text(Json::Object(fields), &text))
        }),
        "urlJoin" => exactly(arguments).and_then(|[fields]| joined(map_of(fields)?)),
        "urlquery" => {
            let text: String = arguments.iter().map(go_string).collect();
            Ok(utf8_percent_encode(&text, QUERY).to_string().replace(' ', "+").into())
        }
        "net.CIDRHost" => exactly(arguments).and_then(|[number, network]| {
            let network = Network::read(network)?;
            Ok(network.host(whole(number)?)?.to_string().into())
        }),
        "net.CIDRNetmask" => exactly(arguments).and_then(|[network]| {
            let network = Network::read(network)?;
            Ok(network.address(network.mask()).to_string().into())
        }),
        "net.CIDRSubnets" => exactly(arguments).and_then(|[bits, network]| {
            let (network, bits) = (Network::read(network)?, new_bits(bits)?);
            if bits > MAX_NEW_BITS {
                return Err(format!("gives more than 2^{MAX_NEW_BITS} networks"));
            }
            let subnets =
                (0..1_u128 << bits).map(|number| Ok(network.subnet(bits, number)?.to_string().into()));
            subnets.collect::<Result<Vec<Json>, String>>().map(Json::Array)
        }),
        "net.CIDRSubnetSizes" => subnets_of_sizes(arguments),
        _ => return None,
    })
}

/// A URL, split into the parts of Go's `url.URL`.
#[derive(Default)]
struct Address<'t> {
    scheme: &'t str,
    userinfo: &'t str,
    host: &'t str,
    path: String,
    query: &'t str,
    opaque: &'t str,
    fragment: String,
}

impl<'t> Address<'t> {
    fn read(text: &'t str) -> Result<Self, String> {
        let refuse = || format!("reads no address in `{text}`");
        let decoded = |text: &str| {
            percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|_| refuse())
        };
        if text.chars().any(char::is_control) {
            return Err(refuse());
        }
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let is_scheme = |scheme: &str| {
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
        };
        let (scheme, rest) =
            rest.split_once(':').filter(|(scheme, _)| is_scheme(scheme)).unwrap_or(("", rest));
        let fragment = decoded(fragment)?;
        if !scheme.is_empty() && !rest.starts_with('/') && !rest.is_empty() {
            return Ok(Self { scheme, opaque: rest, query, fragment, ..Self::default() });
        }
        let (userinfo, host, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let (userinfo, host) = authority.rsplit_once('@').unwrap_or(("", authority));
                (userinfo, host, path)
            }
            None if scheme.is_empty() && rest.split('/').next().is_some_and(|first| first.contains(':')) => {
                return Err(refuse());
            }
            None => ("", "", rest),
        };
        Ok(Self { scheme, userinfo, host, path: decoded(path)?, query, fragment, ..Self::default() })
    }

    fn hostname(&self) -> &str {
        match self.host.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((inner, _)) => inner,
            None => self.host.split(':').next().unwrap_or_default(),
        }
    }

    fn fields(&self, name: impl Fn(&str) -> String) -> Map<String, Json> {
        let scheme = self.scheme.to_lowercase();
        let fields = [
            ("scheme", scheme.as_str()),
            ("host", self.host),
            ("hostname", self.hostname()),
            ("path", &self.path),
            ("query", self.query),
            ("opaque", self.opaque),
            ("fragment", &self.fragment),
            ("userinfo", self.userinfo),
        ];
        fields.into_iter().map(|(field, value)| (name(field), value.into())).collect()
    }
}

/// Joins the parts of a URL.
fn joined(fields: &Map<String, Json>) -> Outcome {
    let field = |name: &str| match fields.get(name) {
        None => Ok(""),
        Some(value) => text_of(value).map_err(|why| format!("{why}, as `{name}`")),
    };
    let (scheme, host, userinfo) = (field("scheme")?, field("host")?, field("userinfo")?);
    let (path, opaque) = (field("path")?, field("opaque")?);
    let mut address = String::new();
    if !scheme.is_empty() {
        address = format!("{scheme}:");
    }
    if opaque.is_empty() {
        let has_authority = !(scheme.is_empty() && host.is_empty() && userinfo.is_empty());
        if has_authority && !(host.is_empty() && path.is_empty() && userinfo.is_empty()) {
            address.push_str("//");
        }
        if !userinfo.is_empty() {
            let _ = write!(address, "{userinfo}@");
        }
        address.push_str(host);
        if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
            address.push('/');
        }
        let _ = write!(address, "{}", utf8_percent_encode(path, PATH));
    } else {
        address.push_str(opaque);
    }
    for (mark, part) in [('?', field("query")?), ('#', field("fragment")?)] {
        if !part.is_empty() {
            let _ = write!(address, "{mark}{part}");
        }
    }
    Ok(address.into())
}

/// A network: its address with all bits after the prefix cleared.
#[derive(Clone, Copy)]
struct Network {
    bits: u128,
    prefix: u8,
    is_v6: bool,
}

impl Network {
    fn read(value: &Json) -> Result<Self, String> {
        let text = go_string(value);
        let refuse = || format!("reads no network in `{text}`");
        let (address, prefix) = text.split_once('/').ok_or_else(refuse)?;
        let (address, prefix): (IpAddr, u8) =
            (address.parse().map_err(|_| refuse())?, prefix.parse().map_err(|_| refuse())?);
        let (bits, is_v6) = match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()), false),
            IpAddr::V6(address) => (address.to_bits(), true),
        };
        let network = Self { bits, prefix, is_v6 };
        if prefix > network.width() {
            return Err(refuse());
        }
        Ok(Self { bits: bits & network.mask(), ..network })
    }

    fn width(self) -> u8 {
        if self.is_v6 { 128 } else { 32 }
    }

    /// The highest host number of the network.
    fn last_host(self) -> u128 {
        u128::MAX.checked_shr(u32::from(128 - (self.width() - self.prefix))).unwrap_or(0)
    }

    fn mask(self) -> u128 {
        u128::MAX.checked_shr(u32::from(128 - self.width())).unwrap_or(0) & !self.last_host()
    }

    fn address(self, bits: u128) -> IpAddr {
        match u32::try_from(bits) {
            Ok(bits) if !self.is_v6 => IpAddr::V4(Ipv4Addr::from_bits(bits)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        }
    }

    /// An address of the network by its host number; negative numbers count from the end.
    fn host(self, number: i64) -> Result<IpAddr, String> {
        let magnitude = u128::from(number.unsigned_abs());
        let is_here = if number < 0 {
            magnitude <= self.last_host().saturating_add(1)
        } else {
            magnitude <= self.last_host()
        };
        if !is_here {
            return Err(format!("finds no host {number} in {self}"));
        }
        let offset = if number < 0 { self.last_host().saturating_add(1) - magnitude } else { magnitude };
        Ok(self.address(self.bits + offset))
    }

    fn subnet(self, new_bits: u8, number: u128) -> Result<Self, String> {
        let prefix = self.prefix.checked_add(new_bits).filter(|prefix| *prefix <= self.width());
        let prefix = prefix.ok_or_else(|| format!("has no room for {new_bits} more bits in {self}"))?;
        let shift = u32::from(self.width() - prefix);
        Ok(Self { bits: self.bits | number.checked_shl(shift).unwrap_or(0), prefix, ..self })
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.address(self.bits), self.prefix)
    }
}

fn new_bits(value: &Json) -> Result<u8, String> {
    float(value)?;
    let bits = u8::try_from(whole(value)?).ok().filter(|bits| (1..=32).contains(bits));
    bits.ok_or_else(|| "takes between 1 and 32 bits".to_owned())
}

/// Consecutive subnets of different sizes.
fn subnets_of_sizes(arguments: &[Json]) -> Outcome {
    let [sizes @ .., network] = arguments else { return Err("takes sizes and a network".to_owned()) };
    let network = Network::read(network)?;
    let mut begin = network.bits;
    let mut subnets = Vec::new();
    for size in sizes {
        let bits = new_bits(size)?;
        let subnet = Network { bits: 0, ..network.subnet(bits, 0)? };
        let hosts = subnet.last_host();
        let full = || format!("has no room for {bits} more bits behind the other networks of {network}");
        // Each subnet is aligned to its own size.
        begin = begin.checked_add(hosts).ok_or_else(full)? & !hosts;
        let end = begin.checked_add(hosts).ok_or_else(full)?;
        if end > network.bits + network.last_host() {
            return Err(full());
        }
        subnets.push(Network { bits: begin, ..subnet }.to_string().into());
        begin = end.checked_add(1).ok_or_else(full)?;
    }
    Ok(Json::Array(subnets))
}
