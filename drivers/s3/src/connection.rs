//! Where the server is and who asks: region, credentials and limits, found as the AWS tools do
//! unless the options have them.

use std::time::Duration;

use aws_config::meta::region::RegionProviderChain;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};

use crate::options::Options;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Until an answer begins; a copy of gigabytes takes its time.
const ANSWER_LIMIT: Duration = Duration::from_mins(2);

/// What all connections have in common. Sends nothing to the bucket yet.
pub(crate) async fn found(options: &Options) -> SdkConfig {
    let region = RegionProviderChain::first_try(options.region.clone().map(Region::new));
    let region = match options.endpoint {
        Some(_) => region.or_else(Region::new("us-east-1")),
        None => region.or_default_provider().or_else(Region::new("us-east-1")),
    };
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).region(region);
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let (Some(id), Some(key)) = (&options.access_key_id, &options.secret_access_key) {
        let token = options.session_token.as_ref().map(|token| token.reveal().to_owned());
        loader = loader.credentials_provider(Credentials::new(
            id.reveal(),
            key.reveal(),
            token,
            None,
            "entries.toml",
        ));
    }
    let limits =
        TimeoutConfig::builder().connect_timeout(CONNECT_LIMIT).read_timeout(ANSWER_LIMIT).build();
    // What is tried again, and when, is decided by the runtime.
    loader.timeout_config(limits).retry_config(RetryConfig::disabled()).load().await
}

/// To the bucket's server.
pub(crate) fn to_bucket(found: &SdkConfig, options: &Options) -> Client {
    let mut config = aws_sdk_s3::config::Builder::from(found)
        .force_path_style(options.path_style.unwrap_or(options.endpoint.is_some()))
        // What is not asked for, other servers than Amazon's often don't understand.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(endpoint) = &options.endpoint {
        config = config.endpoint_url(endpoint);
    }
    Client::from_conf(config.build())
}

/// To the server of the queue with this URL; [`None`] if it is none.
pub(crate) fn to_queue(found: &SdkConfig, url: &str) -> Option<aws_sdk_sqs::Client> {
    let (scheme, rest) = url.split_once("://").filter(|(it, _)| matches!(*it, "http" | "https"))?;
    let (host, name) = rest.split_once('/')?;
    if host.is_empty() || name.is_empty() {
        return None;
    }
    let mut config =
        aws_sdk_sqs::config::Builder::from(found).endpoint_url(format!("{scheme}://{host}"));
    if let Some(region) = region_of(host) {
        config = config.region(Region::new(region.to_owned()));
    }
    Some(aws_sdk_sqs::Client::from_conf(config.build()))
}

/// The region that an address of Amazon's queues names.
fn region_of(host: &str) -> Option<&str> {
    let rest = host.strip_prefix("sqs.").or_else(|| host.strip_prefix("sqs-fips."))?;
    rest.split_once(".amazonaws.").map(|(region, _)| region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_of_a_queue_is_in_its_address() {
        for (host, region) in [
            ("sqs.eu-west-3.amazonaws.com", Some("eu-west-3")),
            ("sqs.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("127.0.0.1:4566", None),
            ("queue.example.org", None),
        ] {
            assert_eq!(region_of(host), region, "{host}");
        }
    }
}
