//! Mail addresses as a server takes them.

use lettre::Address;

/// An address that no message can be sent to or from.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a mail address that can be used: expected name@domain with an ASCII name")]
pub(super) struct AddressProblem;

/// Reads `name@domain`; an internationalised domain becomes its ASCII form
/// (RFC 5891). A name outside ASCII is refused: it would need SMTPUTF8
/// (RFC 6531) on every server on the way.
pub(super) fn parse_address(text: &str) -> Result<Address, AddressProblem> {
    let (name, domain) = text.trim().rsplit_once('@').ok_or(AddressProblem)?;
    if !name.is_ascii() {
        return Err(AddressProblem);
    }
    if domain.starts_with('[') {
        return Address::new(name, domain).map_err(|_| AddressProblem);
    }
    let domain = idna::domain_to_ascii(domain).map_err(|_| AddressProblem)?;
    Address::new(name, domain).map_err(|_| AddressProblem)
}

/// The domain of an address, in ASCII and small letters; `None`: it is none.
pub fn domain_of(address: &str) -> Option<String> {
    let address = parse_address(address).ok()?;
    Some(address.domain().to_ascii_lowercase())
}

/// Whether the domain is `invalid` or below it: such a domain can never exist
/// (RFC 2606, RFC 6761).
pub(super) fn can_never_exist(address: &Address) -> bool {
    let domain = address.domain().trim_end_matches('.').to_ascii_lowercase();
    domain == "invalid" || domain.ends_with(".invalid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_become_ascii() {
        let address = parse_address(" ana@Bücher.example ").unwrap();
        assert_eq!(address.to_string(), "ana@xn--bcher-kva.example");
        assert_eq!(
            parse_address("a@[127.0.0.1]").unwrap().domain(),
            "[127.0.0.1]"
        );
        for bad in [
            "",
            "ana",
            "@b.example",
            "ana@",
            "añá@b.example",
            "a b@c.example",
            "a@b\r\nc",
        ] {
            assert_eq!(parse_address(bad), Err(AddressProblem), "{bad:?}");
        }
    }

    #[test]
    fn only_the_domain_invalid_can_never_exist() {
        for (address, expected) in [
            ("a@shop.invalid", true),
            ("a@SHOP.Invalid", true),
            ("a@invalid", true),
            ("a@invalid.example", false),
            ("a@shopinvalid", false),
            ("invalid@shop.example", false),
        ] {
            let parsed = parse_address(address).unwrap();
            assert_eq!(can_never_exist(&parsed), expected, "{address}");
        }
    }
}
