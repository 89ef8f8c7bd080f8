//! Which addresses are public.
//!
//! By IANA's registries of special-purpose addresses, as of 2026
//! (<https://www.iana.org/assignments/iana-ipv4-special-registry>, <https://www.iana.org/assignments/iana-ipv6-special-registry>),
//! of multicast addresses (RFC 5771, RFC 4291), and by the clouds' own places for metadata. Whatever isn't known to be
//! public isn't: of IPv6 that is what is given out as global unicast (`2000::/3`) and no more. An IPv4 address that stands
//! in one of IPv6 is looked at itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Blocks of IPv4 that aren't public: network, length of the prefix. The registry's few globally reachable blocks are for
/// anycast services that nobody delivers to; those of 192.0.0.0/24 count as the rest of it.
const V4: [(Ipv4Addr, u32); 18] = [
    // "This network", RFC 791.
    (Ipv4Addr::UNSPECIFIED, 8),
    // Private use, RFC 1918.
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Shared address space, RFC 6598; Alibaba Cloud's metadata, too.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    // Loopback, RFC 1122.
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, RFC 3927; the metadata of most clouds.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // IETF protocol assignments, RFC 6890; Oracle Cloud's metadata, too.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // Documentation, RFC 5737.
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // AS112, RFC 7534 and RFC 7535; AMT, RFC 7450; the relays of 6to4, RFC 7526.
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 175, 48, 0), 24),
    // Benchmarking, RFC 2544.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Azure's own services for a machine: a public address that leads inwards.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    // Multicast, RFC 5771, and reserved with broadcast, RFC 1112 and RFC 8190: 224.0.0.0/4 and 240.0.0.0/4.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Blocks of `2000::/3` that aren't public.
const V6: [(Ipv6Addr, u32); 4] = [
    // IETF protocol assignments, RFC 2928: Teredo, benchmarking, ORCHID, drone ids and more.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation, RFC 3849 and RFC 9637.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    // AS112, RFC 7534.
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
];

/// Global unicast, RFC 4291.
const GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// NAT64's well-known prefix, RFC 6052: the IPv4 address is the last 32 bits.
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Whether anybody may be sent to this address.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Embedded::All(inner) => is_public_v4(inner),
            Embedded::Beside(inner) => is_public_v4(inner) && is_public_v6(address),
            Embedded::Nothing => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    let within = |(network, length): &(Ipv4Addr, u32)| (bits ^ u32::from(*network)) >> (32 - length) == 0;
    !V4.iter().any(within)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    within(address, &GLOBAL) && !V6.iter().any(|block| within(address, block))
}

fn within(address: Ipv6Addr, (network, length): &(Ipv6Addr, u32)) -> bool {
    (u128::from(address) ^ u128::from(*network)) >> (128 - length) == 0
}

/// An IPv4 address that stands in one of IPv6.
enum Embedded {
    /// The packet goes there.
    All(Ipv4Addr),
    /// The packet goes there by a tunnel.
    Beside(Ipv4Addr),
    Nothing,
}

/// Mapped (RFC 4291), behind NAT64 (RFC 6052), 6to4 (RFC 3056), ISATAP (RFC 5214).
fn embedded(address: Ipv6Addr) -> Embedded {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    if let Some(mapped) = address.to_ipv4_mapped() {
        return Embedded::All(mapped);
    }
    if within(address, &NAT64) {
        return Embedded::All(v4(segments[6], segments[7]));
    }
    if segments[0] == 0x2002 {
        return Embedded::Beside(v4(segments[1], segments[2]));
    }
    if matches!((segments[4], segments[5]), (0x0000 | 0x0200, 0x5efe)) {
        return Embedded::Beside(v4(segments[6], segments[7]));
    }
    Embedded::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str) -> bool {
        is_public(address.parse().expect(address))
    }

    #[test]
    fn what_is_given_out_to_the_public_is_public() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "168.63.129.17",
            "223.255.255.255",
            "2600::1",
            "2606:4700:4700::1111",
            "2a00:1450:4001:81b::200e",
            "2001:200::1",
            "3ffe::1",
            // Names behind NAT64 and 6to4 that lead to public places.
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
            "::ffff:1.1.1.1",
        ] {
            assert!(check(address), "{address}");
        }
    }

    #[test]
    fn everything_else_is_not() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.9",
            "192.0.0.192",
            "192.0.2.1",
            "192.31.196.1",
            "192.52.193.1",
            "192.88.99.1",
            "192.168.1.1",
            "192.175.48.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "168.63.129.16",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            // Deprecated: IPv4-compatible and site-local.
            "::1.1.1.1",
            "fec0::1",
            "fe80::1",
            "febf::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "100::1",
            "64:ff9b:1::1.1.1.1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "2620:4f:8000::1",
            "4000::1",
            "5f00::1",
            "8000::1",
        ] {
            assert!(!check(address), "{address}");
        }
    }

    #[test]
    fn a_private_address_of_ipv4_is_found_wherever_it_stands() {
        for inner in ["127.0.0.1", "169.254.169.254", "10.1.2.3", "168.63.129.16", "0.0.0.0"] {
            let octets = inner.parse::<Ipv4Addr>().expect(inner).octets();
            let [a, b, c, d] = octets;
            let hex = format!("{a:02x}{b:02x}:{c:02x}{d:02x}");
            for address in [
                format!("::ffff:{inner}"),
                format!("64:ff9b::{inner}"),
                format!("2002:{hex}::1"),
                format!("2002:{hex}:1:2:3:4:5"),
                format!("2600::5efe:{inner}"),
                format!("2600::200:5efe:{inner}"),
            ] {
                assert!(!check(&address), "{address}");
            }
        }
        assert!(check("2600::5efe:1.1.1.1"), "what is public inside and outside is public");
        assert!(!check("fe80::5efe:1.1.1.1"));
    }
}
