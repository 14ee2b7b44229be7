//! Samples: windows of the token stream, in an order that the seed decides.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::corpus::Stream;

/// One sample: `length` ids, and the id that follows each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// What the model reads.
    pub inputs: Vec<u32>,
    /// What it is to predict.
    pub targets: Vec<u32>,
    /// Which of them are learned, at least one of a sample of [`Samples::of_documents`].
    pub learned: Vec<bool>,
}

/// The samples of a stream of documents.
///
/// An epoch cuts the stream into windows of `length` ids, from an offset of its own, and shuffles them.
/// A window gets the tokenizer's BOS before it, so that every sample starts as every document does in
/// evaluation (where it already starts with a document's BOS it is taken one id longer instead); it may
/// hold the end of one document and the start of the next. So a sample predicts each id of its window.
///
/// Of whole documents, windows begin where documents do, in every epoch: with the one that the window before
/// could not hold to its end, unless it began with that.
pub struct Samples<'a> {
    stream: &'a Stream,
    length: usize,
    bos: Option<u32>,
    seed: u64,
    /// Where windows of whole documents begin; none: one after the other.
    starts: Option<Vec<usize>>,
    epoch: Epoch,
}

/// Where the windows of an epoch begin, if one after the other, and their order.
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

impl<'a> Samples<'a> {
    /// Samples of a stream; none when it is too short for one.
    pub fn new(stream: &'a Stream, length: usize, bos: Option<u32>, seed: u64) -> Option<Samples<'a>> {
        // The last id of any offset's last window, and one more, lie inside the stream.
        let windows = stream.ids.len().checked_sub(length)? / length;
        let epoch = || Epoch::new(0, windows, length, seed);
        (windows > 0).then(|| Samples { stream, length, bos, seed, starts: None, epoch: epoch() })
    }

    /// Samples of the whole documents of a stream, each of which begins with `bos`, but for samples of which
    /// nothing is learned; none when no other is left.
    pub fn of_documents(stream: &'a Stream, length: usize, bos: u32, seed: u64) -> Option<Samples<'a>> {
        let mut samples = Samples {
            stream,
            length,
            bos: Some(bos),
            seed,
            starts: None,
            epoch: Epoch::new(0, 0, length, seed),
        };
        let mut starts = document_starts(&stream.ids, length, bos);
        starts.retain(|&start| samples.window(start).learned.contains(&true));
        if starts.is_empty() {
            return None;
        }
        samples.epoch = Epoch::new(0, starts.len(), length, seed);
        samples.starts = Some(starts);
        Some(samples)
    }

    /// Samples of an epoch.
    pub fn windows(&self) -> usize {
        self.epoch.order.len()
    }

    /// Sample `number` of the training, over all epochs.
    pub fn get(&mut self, number: u64) -> Sample {
        let windows = self.windows() as u64;
        if self.epoch.number != number / windows {
            self.epoch = Epoch::new(number / windows, self.windows(), self.length, self.seed);
        }
        let window = self.epoch.order[(number % windows) as usize] as usize;
        self.window(self.start(window, self.epoch.offset))
    }

    /// Sample `number` in the order of the stream, for a loss that is compared over time.
    pub fn in_order(&self, number: usize) -> Sample {
        self.window(self.start(number, 0))
    }

    fn start(&self, window: usize, offset: usize) -> usize {
        self.starts.as_ref().map_or(offset + window * self.length, |starts| starts[window])
    }

    fn window(&self, start: usize) -> Sample {
        let ids = &self.stream.ids[start..start + self.length];
        let put = self.bos.filter(|&bos| ids[0] != bos);
        let inputs = match put {
            Some(bos) => [&[bos], &ids[..self.length - 1]].concat(),
            None => ids.to_vec(),
        };
        let first = start + usize::from(put.is_none());
        let predicted = first..first + self.length;
        Sample {
            inputs,
            targets: self.stream.ids[predicted.clone()].to_vec(),
            learned: self.stream.learned[predicted].to_vec(),
        }
    }
}

/// Where the windows of whole documents begin, while a window and one more id are there.
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
        let mut samples = Samples::new(&stream, 10, Some(0), 3).unwrap();
        let windows = samples.windows() as u64;
        assert_eq!(windows, 98);
        for epoch in 0..2 {
            let firsts: HashSet<u32> =
                (0..windows).map(|n| samples.get(epoch * windows + n).targets[0]).collect();
            assert_eq!(firsts.len(), 98);
        }
        let sample = samples.get(5);
        assert_eq!(sample.inputs[0], 0);
        assert_eq!(sample.inputs[1..], sample.targets[..9]);
        assert_eq!(sample.targets.len(), 10);
    }

    #[test]
    fn any_sample_can_be_drawn_at_once() {
        let stream = Stream::all_learned((1..300).collect());
        let all = |seed| -> Vec<Sample> {
            let mut samples = Samples::new(&stream, 7, Some(0), seed).unwrap();
            (0..100).map(|n| samples.get(n)).collect()
        };
        let mut samples = Samples::new(&stream, 7, Some(0), 1).unwrap();
        assert_eq!((60..100).map(|n| samples.get(n)).collect::<Vec<_>>(), all(1)[60..]);
        assert_ne!(all(1), all(2));
        assert_ne!(all(1)[..41], all(1)[41..82]);
    }

    #[test]
    fn whole_documents_are_cut_only_where_they_are_longer() {
        // Documents of 3, 2, 2, 7 and 4 ids.
        let ids = [0, 1, 2, 0, 3, 0, 4, 0, 5, 6, 7, 8, 9, 10, 0, 11, 12, 13];
        assert_eq!(document_starts(&ids, 5, 0), [0, 5, 7, 12]);
        let stream = Stream::all_learned(ids.to_vec());
        let mut samples = Samples::of_documents(&stream, 5, 0, 0).unwrap();
        assert_eq!(samples.windows(), 4);
        assert_eq!(samples.in_order(0).inputs, [0, 1, 2, 0, 3]);
        assert_eq!(samples.in_order(1), all_learned([0, 4, 0, 5, 6], [4, 0, 5, 6, 7]));
        // Of the long one, on from where the window before ends.
        assert_eq!(samples.in_order(3), all_learned([0, 9, 10, 0, 11], [9, 10, 0, 11, 12]));
        let epoch = |samples: &mut Samples, from| -> HashSet<Vec<u32>> {
            (from..from + 4).map(|n| samples.get(n).inputs).collect()
        };
        assert_eq!(epoch(&mut samples, 0), epoch(&mut samples, 4));
        let short = Stream::all_learned(ids[..5].to_vec());
        assert!(Samples::of_documents(&short, 5, 0, 0).is_none());
    }

    #[test]
    fn samples_of_which_nothing_is_learned_are_left_out() {
        let ids = vec![0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0];
        let learned = [3, 9].map(|learned| learned as usize);
        let stream = Stream { learned: (0..ids.len()).map(|id| learned.contains(&id)).collect(), ids };
        let samples = Samples::of_documents(&stream, 4, 0, 0).unwrap();
        assert_eq!(samples.windows(), 2);
        assert_eq!(samples.in_order(0).learned, [false, false, true, false]);
        let second = samples.in_order(1);
        assert_eq!((second.inputs, second.learned), (vec![0, 7, 8, 9], vec![true, false, false, false]));
    }

    #[test]
    fn a_document_keeps_its_own_bos() {
        let stream = Stream::all_learned(vec![0, 5, 6, 7, 8, 9, 10]);
        let samples = Samples::new(&stream, 3, Some(0), 0).unwrap();
        assert_eq!(samples.in_order(0), all_learned([0, 5, 6], [5, 6, 7]));
        assert_eq!(samples.in_order(1), all_learned([0, 7, 8], [7, 8, 9]));
        let without = Samples::new(&stream, 3, None, 0).unwrap();
        assert_eq!(without.in_order(1), all_learned([7, 8, 9], [8, 9, 10]));
        assert!(Samples::new(&stream, 4, None, 0).is_none());
    }

    fn all_learned<const N: usize>(inputs: [u32; N], targets: [u32; N]) -> Sample {
        Sample { inputs: inputs.to_vec(), targets: targets.to_vec(), learned: vec![true; N] }
    }
}
