//! The outputs of a pod's containers as one log.

use async_stream::try_stream;
use futures::{
    Stream, StreamExt as _, TryStreamExt as _,
    future::try_join_all,
    stream::{BoxStream, select_all},
};
use wm_core::Result;

use crate::output::Item;

/// What one container writes.
pub(crate) type Output = BoxStream<'static, Result<Item>>;

/// Merges by time what there is, where the time tells; each item with the number of its container.
pub(crate) fn in_order(mut outputs: Vec<Output>) -> impl Stream<Item = Result<(usize, Item)>> + Send {
    try_stream! {
        // All are opened at once.
        let mut heads = try_join_all(outputs.iter_mut().map(|output| output.try_next())).await?;
        let mut unfinished = None;
        loop {
            let begun = unfinished.filter(|index| heads.get(*index).is_some_and(Option::is_some));
            let Some(index) = begun.or_else(|| first(&heads)) else { break };
            let Some(item) = heads[index].take() else { break };
            heads[index] = outputs[index].try_next().await?;
            // The pieces of a line stay together.
            unfinished = (!item.record.ended).then_some(index);
            yield (index, item);
        }
    }
}

fn first(heads: &[Option<Item>]) -> Option<usize> {
    let times =
        heads.iter().enumerate().filter_map(|(index, head)| Some((head.as_ref()?.record.time, index)));
    times.min().map(|(_, index)| index)
}

/// Gives what comes as it comes.
pub(crate) fn as_it_comes(outputs: Vec<Output>) -> impl Stream<Item = Result<(usize, Item)>> + Send {
    let numbered = outputs.into_iter().enumerate();
    select_all(numbered.map(|(index, output)| output.map_ok(move |item| (index, item)).boxed()))
}
