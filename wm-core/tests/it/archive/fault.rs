/// A mistake that an archive's author makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreFault {
    LongAppendsLoseALine,
    BytesAreReplaced,
    InstanceIsForgotten,
    OutputsAreNotMerged,
    RestartsShareAnOutput,
    IdsArePrefixes,
    ManagerIsAContainer,

    AppendsAgain,
    OrderIsNotChecked,
    PositionForgetsCount,
    TakeoverOverwrites,
    WritersHaveNoFence,
    DroppedAppendIsLost,

    MessageIsOneLine,
    MessagesOverwrite,
    FlushDoesNothing,

    SealForgetsWhy,
    LastSealWins,
    SealIsNoEnd,
    SealClosesTheWorkload,

    TailIsHead,
    SinceIsExclusive,
    AttemptIsIgnored,
    ContainerIsIgnored,
    CursorIsATime,
    BadCursorIsTheStart,
    FollowEndsWithAnySeal,
    FollowersHearNoOthers,
    UnknownIsEmpty,

    AliasesAreForgotten,
    EarlyMessagesAreForgotten,
    LastAliasWins,
    IncludeIsIgnored,

    DeleteUnknownIsNotFound,
    DeleteKeepsSeals,
    ExpiresByFirstSeal,
    DeleteIsIgnored,
}
