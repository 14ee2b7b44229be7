//! Windows of the token stream, each a sample of a step, in an order set by the seed.

use std::ops::Range;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::corpus::Stream;

/// A window to learn from: `length` ids, and the id that follows each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// What the model reads.
    pub inputs: Vec<u32>,
    /// What it is to predict; none if not learned. With [`Windows::of_documents`] at least one is learned.
    pub targets: Vec<Option<u32>>,
}

impl Example {
    /// How many targets are learned.
    pub fn learned(&self) -> usize {
        self.targets.iter().flatten().count()
    }
}

/// The windows of a stream of documents.
///
/// An epoch cuts the stream into windows of `length` ids, from an offset of its own, and shuffles them. A
/// window is preceded by the tokenizer's BOS, so that every one starts as every document does in evaluation
/// (if it already starts with a document's BOS, it is one id longer instead); it may hold the end of one
/// document and the start of the next. So each of its ids is predicted.
///
/// Windows of whole documents begin where documents do, in every epoch: with the document that the window
/// before cut, unless that window began with it.
pub struct Windows<'a> {
    stream: &'a Stream,
    length: usize,
    bos: Option<u32>,
    seed: u64,
    /// Where windows of whole documents begin; none if windows follow each other.
    starts: Option<Vec<usize>>,
    epoch: Epoch,
}

/// Where the windows of an epoch begin, if they follow each other, and their order.
struct Epoch {
    number: u64,
    offset: usize,
    order: Vec<u32>,
}

impl Epoch {
    fn new(number: u64, windows: usize, length: usize, seed: u64) -> Epoch {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number);
        let offset = random.random_range(0..length);
        let mut order: Vec<u32> = (0..windows as u32).collect();
        order.shuffle(&mut random);
        Epoch { number, offset, order }
    }
}

impl<'a> Windows<'a> {
    /// Windows of a stream; none if it is too short for one.
    pub fn new(stream: &'a Stream, length: usize, bos: Option<u32>, seed: u64) -> Option<Windows<'a>> {
        // The last id of any offset's last window, and one more, are inside the stream.
        let windows = stream.ids.len().checked_sub(length)? / length;
        let epoch = || Epoch::new(0, windows, length, seed);
        (windows > 0).then(|| Windows { stream, length, bos, seed, starts: None, epoch: epoch() })
    }

    /// Windows of the whole documents of a stream, each of which begins with `bos`, except for those in which
    /// nothing is learned; none if no other is left.
    pub fn of_documents(stream: &'a Stream, length: usize, bos: u32, seed: u64) -> Option<Windows<'a>> {
        let mut starts = document_starts(&stream.ids, length, bos);
        starts.retain(|&start| stream.learned[predicted(stream, start, length, Some(bos))].contains(&true));
        if starts.is_empty() {
            return None;
        }
        let epoch = Epoch::new(0, starts.len(), length, seed);
        Some(Windows { stream, length, bos: Some(bos), seed, starts: Some(starts), epoch })
    }

    /// How many windows an epoch has.
    pub fn per_epoch(&self) -> usize {
        self.epoch.order.len()
    }

    /// Window `number` of the training, over all epochs.
    pub fn get(&mut self, number: u64) -> Example {
        let per_epoch = self.per_epoch() as u64;
        if self.epoch.number != number / per_epoch {
            self.epoch = Epoch::new(number / per_epoch, self.per_epoch(), self.length, self.seed);
        }
        let window = self.epoch.order[(number % per_epoch) as usize] as usize;
        self.window(self.start(window, self.epoch.offset))
    }

    /// Window `number` in the order of the stream, for a loss that is compared over time.
    pub fn in_order(&self, number: usize) -> Example {
        self.window(self.start(number, 0))
    }

    fn start(&self, window: usize, offset: usize) -> usize {
        self.starts.as_ref().map_or(offset + window * self.length, |starts| starts[window])
    }

    fn window(&self, start: usize) -> Example {
        let predicted = predicted(self.stream, start, self.length, self.bos);
        let read = &self.stream.ids[start..predicted.end - 1];
        // A BOS that is put before the window is read in place of its last id.
        let put = self.bos.filter(|_| predicted.start == start);
        let target = |at: usize| self.stream.learned[at].then_some(self.stream.ids[at]);
        Example {
            inputs: put.into_iter().chain(read.iter().copied()).collect(),
            targets: predicted.map(target).collect(),
        }
    }
}

/// The ids that the window from `start` on predicts: its own if BOS is put before it.
fn predicted(stream: &Stream, start: usize, length: usize, bos: Option<u32>) -> Range<usize> {
    let first = match bos {
        Some(bos) if stream.ids[start] != bos => start,
        _ => start + 1,
    };
    first..first + length
}

/// Where the windows of whole documents begin, as long as there is a window and one more id.
fn document_starts(ids: &[u32], length: usize, bos: u32) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut start = 0;
    while start + length < ids.len() {
        starts.push(start);
        let end = start + length;
        // The document that the window's end cuts, or that begins there.
        start = (start + 1..=end).rev().find(|&at| ids[at] == bos).unwrap_or(end);
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn an_epoch_takes_each_window_once() {
        let stream = Stream::all_learned((1..1000).collect());
        let mut windows = Windows::new(&stream, 10, Some(0), 3).unwrap();
        let per_epoch = windows.per_epoch() as u64;
        assert_eq!(per_epoch, 98);
        for epoch in 0..2 {
            let firsts: HashSet<u32> =
                (0..per_epoch).filter_map(|n| windows.get(epoch * per_epoch + n).targets[0]).collect();
            assert_eq!(firsts.len(), 98);
        }
        let window = windows.get(5);
        assert_eq!(window.inputs[0], 0);
        assert!(
            window.targets.iter().zip(&window.inputs[1..]).all(|(target, input)| *target == Some(*input))
        );
        assert_eq!(window.targets.len(), 10);
    }

    #[test]
    fn any_window_can_be_drawn_at_once() {
        let stream = Stream::all_learned((1..300).collect());
        let all = |seed| -> Vec<Example> {
            let mut windows = Windows::new(&stream, 7, Some(0), seed).unwrap();
            (0..100).map(|n| windows.get(n)).collect()
        };
        let mut windows = Windows::new(&stream, 7, Some(0), 1).unwrap();
        assert_eq!((60..100).map(|n| windows.get(n)).collect::<Vec<_>>(), all(1)[60..]);
        assert_ne!(all(1), all(2));
        assert_ne!(all(1)[..41], all(1)[41..82]);
    }

    #[test]
    fn whole_documents_are_cut_only_where_they_are_longer() {
        // Documents of 3, 2, 2, 7 and 4 ids.
        let ids = [0, 1, 2, 0, 3, 0, 4, 0, 5, 6, 7, 8, 9, 10, 0, 11, 12, 13];
        assert_eq!(document_starts(&ids, 5, 0), [0, 5, 7, 12]);
        let stream = Stream::all_learned(ids.to_vec());
        let mut windows = Windows::of_documents(&stream, 5, 0, 0).unwrap();
        assert_eq!(windows.per_epoch(), 4);
        assert_eq!(windows.in_order(0).inputs, [0, 1, 2, 0, 3]);
        assert_eq!(windows.in_order(1), all_learned([0, 4, 0, 5, 6], [4, 0, 5, 6, 7]));
        // The long document continues where the window before ends.
        assert_eq!(windows.in_order(3), all_learned([0, 9, 10, 0, 11], [9, 10, 0, 11, 12]));
        let epoch = |windows: &mut Windows, from| -> HashSet<Vec<u32>> {
            (from..from + 4).map(|n| windows.get(n).inputs).collect()
        };
        assert_eq!(epoch(&mut windows, 0), epoch(&mut windows, 4));
        let short = Stream::all_learned(ids[..5].to_vec());
        assert!(Windows::of_documents(&short, 5, 0, 0).is_none());
    }

    #[test]
    fn windows_of_which_nothing_is_learned_are_left_out() {
        let ids = vec![0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0];
        let learned = [3, 9].map(|learned| learned as usize);
        let stream = Stream { learned: (0..ids.len()).map(|id| learned.contains(&id)).collect(), ids };
        let windows = Windows::of_documents(&stream, 4, 0, 0).unwrap();
        assert_eq!(windows.per_epoch(), 2);
        assert_eq!(windows.in_order(0).targets, [None, None, Some(3), None]);
        let second = Example { inputs: vec![0, 7, 8, 9], targets: vec![Some(7), None, None, None] };
        assert_eq!(windows.in_order(1), second);
    }

    #[test]
    fn a_document_keeps_its_own_bos() {
        let stream = Stream::all_learned(vec![0, 5, 6, 7, 8, 9, 10]);
        let windows = Windows::new(&stream, 3, Some(0), 0).unwrap();
        assert_eq!(windows.in_order(0), all_learned([0, 5, 6], [5, 6, 7]));
        assert_eq!(windows.in_order(1), all_learned([0, 7, 8], [7, 8, 9]));
        let without = Windows::new(&stream, 3, None, 0).unwrap();
        assert_eq!(without.in_order(1), all_learned([7, 8, 9], [8, 9, 10]));
        assert!(Windows::new(&stream, 4, None, 0).is_none());
    }

    fn all_learned<const N: usize>(inputs: [u32; N], targets: [u32; N]) -> Example {
        Example { inputs: inputs.to_vec(), targets: targets.map(Some).to_vec() }
    }
}
