//! The one place where our Discord ids and twilight's turn into each other.

use rolecall_domain::ids::{ChannelId, DiscordUserId, GuildId, RoleId};
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker, RoleMarker, UserMarker},
};

/// An id of ours that twilight knows under a marker type.
pub trait TwilightId: Copy {
    /// Twilight's marker for this kind of id.
    type Marker;

    /// The id as twilight writes it.
    fn to_twilight(self) -> Id<Self::Marker>;

    /// The id as we write it; `None` for a number beyond Postgres' `bigint`, which Discord reaches in 2084.
    fn from_twilight(id: Id<Self::Marker>) -> Option<Self>;
}

macro_rules! twilight_ids {
    ($($ours:ident = $marker:ident;)*) => {$(
        impl TwilightId for $ours {
            type Marker = $marker;

            fn to_twilight(self) -> Id<$marker> {
                // Our ids are never zero, the only number that twilight refuses.
                Id::new(self.get())
            }

            fn from_twilight(id: Id<$marker>) -> Option<Self> {
                Self::new(id.get())
            }
        }
    )*};
}

twilight_ids! {
    GuildId = GuildMarker;
    RoleId = RoleMarker;
    DiscordUserId = UserMarker;
    ChannelId = ChannelMarker;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_the_way_to_twilight_and_back() {
        let role = RoleId::new(175_928_847_299_117_063).unwrap();
        assert_eq!(role.to_twilight().get(), role.get());
        assert_eq!(RoleId::from_twilight(role.to_twilight()), Some(role));
    }

    #[test]
    fn an_id_beyond_bigint_is_none() {
        assert_eq!(GuildId::from_twilight(Id::new(u64::MAX)), None);
    }
}
