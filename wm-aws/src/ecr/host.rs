//! The names of ECR's registries.

/// A private registry of ECR, known by its host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcrHost {
    /// The account whose registry it is.
    pub account: String,
    /// Its region, which is where it has to be asked, wherever we are.
    pub region: String,
    /// Whether it is the endpoint that keeps to FIPS 140.
    pub is_fips: bool,
    /// Whether it can be reached over IPv6, too.
    pub is_dual_stack: bool,
}

/// The domains of AWS' partitions, and whether they are those for both IPv4 and IPv6.
const DOMAINS: [(&str, bool); 9] = [
    ("amazonaws.com", false),
    ("amazonaws.com.cn", false),
    ("amazonaws.eu", false),
    ("on.aws", true),
    ("on.amazonwebservices.com.cn", true),
    ("sc2s.sgov.gov", false),
    ("c2s.ic.gov", false),
    ("cloud.adc-e.uk", false),
    ("csp.hci.ic.gov", false),
];

impl EcrHost {
    /// Reads a registry's host name; `None` when it is none of ECR's. `public.ecr.aws` is another service.
    pub fn parse(host: &str) -> Option<Self> {
        let (account, rest) = host.split_once('.')?;
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        if !is_account {
            return None;
        }
        let (service, rest) = match rest.strip_prefix("dkr.") {
            Some(rest) => rest.split_once('.')?,
            None => rest.strip_prefix("dkr-")?.split_once('.')?,
        };
        let is_fips = match service {
            "ecr" => false,
            "ecr-fips" => true,
            _ => return None,
        };
        let (region, domain) = rest.split_once('.')?;
        let is_region = region.contains('-')
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !region.starts_with('-')
            && !region.ends_with('-');
        let (_, is_dual_stack) = DOMAINS.into_iter().find(|(known, _)| *known == domain)?;
        is_region.then(|| Self {
            account: account.to_owned(),
            region: region.to_owned(),
            is_fips,
            is_dual_stack,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registries_of_all_partitions_are_known() {
        for (host, region, is_fips, is_dual_stack) in [
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", "eu-central-1", false, false),
            ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "us-east-1", true, false),
            ("123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", "us-gov-west-1", false, false),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", false, false),
            ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1", false, false),
            ("123456789012.dkr-ecr.us-west-2.on.aws", "us-west-2", false, true),
            ("123456789012.dkr-ecr-fips.us-west-2.on.aws", "us-west-2", true, true),
            ("123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1", false, true),
            ("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", false, false),
        ] {
            let (account, region) = ("123456789012".to_owned(), region.to_owned());
            let expected = EcrHost { account, region, is_fips, is_dual_stack };
            assert_eq!(EcrHost::parse(host), Some(expected), "{host}");
        }
    }

    #[test]
    fn other_registries_are_not_taken_for_it() {
        for host in [
            "",
            "docker.io",
            "public.ecr.aws",
            "12345678901.dkr.ecr.eu-central-1.amazonaws.com",
            "1234567890123.dkr.ecr.eu-central-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.org",
            "evil.123456789012.dkr.ecr.eu-central-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com:443",
            "123456789012.dkr.s3.eu-central-1.amazonaws.com",
            "123456789012.dkr.ecr.EU.amazonaws.com",
        ] {
            assert_eq!(EcrHost::parse(host), None, "{host}");
        }
    }
}
