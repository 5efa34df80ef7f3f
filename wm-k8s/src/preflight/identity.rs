use wm_core::Finding;

use super::survey::{Survey, Told};

/// Says whose credentials they are.
pub(super) fn finding(survey: &Survey) -> Finding {
    match &survey.user {
        Told::Is(user) => Finding::ok("identity", format!("the credentials are those of {user}")),
        Told::Missing => super::unknown("identity", "whose credentials they are", "nobody is named"),
        Told::Unknown(why) => super::unknown("identity", "whose credentials they are", why),
    }
}
