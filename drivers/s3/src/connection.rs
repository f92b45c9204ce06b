//! Where the server is and who asks: region, credentials and limits, found as the AWS tools do
//! unless the options have them.

use std::time::Duration;

use aws_config::default_provider::region::DefaultRegionChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Credentials, ProvideCredentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};

use onitu_plug::Fault;

use crate::fault::{causes, unavailable};
use crate::options::Options;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Until an answer begins; a copy of gigabytes takes its time.
const ANSWER_LIMIT: Duration = Duration::from_mins(2);

/// What all connections have in common. Sends nothing to the bucket yet.
///
/// # Errors
/// When only a half of the credentials is given, or the profile has none.
pub(crate) async fn found(options: &Options) -> Result<SdkConfig, Fault> {
    let region = region(options).await;
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).region(region.clone());
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    loader = match (&options.access_key_id, &options.secret_access_key, &options.profile) {
        (Some(id), Some(key), _) => {
            let token = options.session_token.as_ref().map(|token| token.reveal().to_owned());
            let given = Credentials::new(id.reveal(), key.reveal(), token, None, "entries.toml");
            loader.credentials_provider(given)
        }
        (None, None, Some(profile)) => {
            // Else the environment would go before what this service was given.
            loader.credentials_provider(of_profile(profile, region).await?)
        }
        (None, None, None) => loader,
        (Some(_), None, _) => return Err(half("access_key_id", "secret_access_key")),
        (None, Some(_), _) => return Err(half("secret_access_key", "access_key_id")),
    };
    let limits =
        TimeoutConfig::builder().connect_timeout(CONNECT_LIMIT).read_timeout(ANSWER_LIMIT).build();
    // What is tried again, and when, is decided by the runtime.
    Ok(loader.timeout_config(limits).retry_config(RetryConfig::disabled()).load().await)
}

/// Who asks by a profile's name. Asked once here, since it tells only the first time what is wrong.
async fn of_profile(
    profile: &str,
    region: Region,
) -> Result<ProfileFileCredentialsProvider, Fault> {
    let config = ProviderConfig::without_region().with_region(Some(region));
    let named = ProfileFileCredentialsProvider::builder().configure(&config);
    let named = named.profile_name(profile).build();
    named.provide_credentials().await.map_err(|error| {
        let why = causes(&error);
        unavailable(format!(
            "the profile `{profile}` gives no credentials: {why}: correct `profile`, or \
             `~/.aws/config` and `~/.aws/credentials`"
        ))
    })?;
    Ok(named)
}

fn half(given: &str, missing: &str) -> Fault {
    unavailable(format!("`{given}` is given without `{missing}`: give both, or neither"))
}

/// The one that is given; else that of the AWS configuration, if the server is Amazon's.
async fn region(options: &Options) -> Region {
    let given = options.region.clone().map(Region::new);
    if given.is_none() && options.endpoint.is_none() {
        let chain = DefaultRegionChain::builder();
        let chain = match &options.profile {
            Some(profile) => chain.profile_name(profile),
            None => chain,
        };
        if let Some(found) = chain.build().region().await {
            return found;
        }
    }
    given.unwrap_or(Region::from_static("us-east-1"))
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
