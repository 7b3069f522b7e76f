//! Permission bits, as far as the simulator judges by them.

/// Create Instant Invite.
pub const CREATE_INSTANT_INVITE: u64 = 1 << 0;
/// Kick Members.
pub const KICK_MEMBERS: u64 = 1 << 1;
/// Administrator: everything.
pub const ADMINISTRATOR: u64 = 1 << 3;
/// Manage Server.
pub const MANAGE_GUILD: u64 = 1 << 5;
/// View Audit Log.
pub const VIEW_AUDIT_LOG: u64 = 1 << 7;
/// View Channels.
pub const VIEW_CHANNEL: u64 = 1 << 10;
/// Send Messages.
pub const SEND_MESSAGES: u64 = 1 << 11;
/// Manage Nicknames.
pub const MANAGE_NICKNAMES: u64 = 1 << 27;
/// Manage Roles.
pub const MANAGE_ROLES: u64 = 1 << 28;
/// What `@everyone` may do in a new server of the simulator.
pub const EVERYONE: u64 = VIEW_CHANNEL | SEND_MESSAGES;
