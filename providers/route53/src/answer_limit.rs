//! A limit of the octets of an answer: the SDK reads all of it.

use aws_sdk_route53::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_route53::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_route53::error::BoxError;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

/// In octets. A page of 300 sets has less than a megabyte; what the SDK makes of it may take ten times as much.
const BODY_MAX: usize = 4 * 1024 * 1024;

/// Ends an answer with an error where it is too large.
#[derive(Debug)]
pub(crate) struct AnswerLimit;

impl Intercept for AnswerLimit {
    fn name(&self) -> &'static str {
        "AnswerLimit"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let whole = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Limited::new(whole, BODY_MAX));
        Ok(())
    }
}
