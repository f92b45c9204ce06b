//! Redis.
/// Redis.
pub struct RedisStore;
