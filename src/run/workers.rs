//! The workers of a run: one for each device, on one list of batches.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::{Batch, Prepared};
use crate::device::OpenDevice;
use crate::error::Result;
use crate::store::SampleLine;

/// Evaluates batches, each by the worker that is free first, and hands the results to `store` one batch after another.
/// Models on this machine share the devices, which hold one model at a time; batches are sorted by model. Models that
/// compute elsewhere are asked meanwhile, over as many connections as they allow.
///
/// # Errors
/// The first of a worker or of `store`. No worker begins a batch after it; what was handed over before is
/// stored.
pub(super) fn evaluate<'a>(
    prepared: &'a Prepared<'a>,
    devices: &[OpenDevice],
    batches: &'a [Batch<'a>],
    mut store: impl FnMut(&Batch, Vec<SampleLine>) -> Result<()>,
) -> Result<()> {
    let queues = queues(prepared, batches, devices.len());
    if let ([queue], [device]) = (&queues[..], devices)
        && queue.workers == 1
    {
        return queue.on(device, store);
    }
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let workers = queues
            .iter()
            .flat_map(|queue| devices.iter().cycle().take(queue.workers).map(move |device| (queue, device)));
        for (queue, device) in workers {
            let sender = sender.clone();
            scope.spawn(move || {
                let hand_over = |batch: &'a Batch<'a>, lines| {
                    // Nobody receives any more if another worker has failed, and that failure is what is
                    // reported.
                    let _ = sender.send(Ok((batch, lines)));
                    Ok(())
                };
                if let Err(e) = queue.on(device, hand_over) {
                    let _ = sender.send(Err(e));
                }
            });
        }
        drop(sender);
        receiver.into_iter().try_for_each(|done: Result<_>| {
            let stored = done.and_then(|(batch, lines)| store(batch, lines));
            stored.inspect_err(|_| queues.iter().for_each(Queue::stop))
        })
    })
}

/// The batches of models on this machine, and those of each model elsewhere.
fn queues<'a>(prepared: &'a Prepared<'a>, batches: &'a [Batch<'a>], devices: usize) -> Vec<Queue<'a>> {
    let connections = |model: usize| prepared.subjects[model].connections();
    let queue = |batches: Vec<&'a Batch<'a>>, workers: usize| {
        let workers = workers.min(batches.len());
        Some(Queue { prepared, batches, workers, next: AtomicUsize::new(0) })
            .filter(|queue| queue.workers > 0)
    };
    let here = batches.iter().filter(|batch| connections(batch.model).is_none()).collect();
    let elsewhere = (0..prepared.subjects.len()).filter_map(|model| {
        let workers = connections(model)?.get();
        queue(batches.iter().filter(|batch| batch.model == model).collect(), workers)
    });
    queue(here, devices).into_iter().chain(elsewhere).collect()
}

/// Batches, taken one after another by whoever is free.
struct Queue<'a> {
    prepared: &'a Prepared<'a>,
    batches: Vec<&'a Batch<'a>>,
    /// How many workers take from it.
    workers: usize,
    next: AtomicUsize,
}

impl<'a> Queue<'a> {
    /// Evaluates batches on a device as long as there are any.
    fn on(
        &self,
        device: &OpenDevice,
        mut hand_over: impl FnMut(&'a Batch<'a>, Vec<SampleLine>) -> Result<()>,
    ) -> Result<()> {
        let _stop = StopOnPanic(self);
        let mut loaded = None;
        while let Some(batch) = self.batches.get(self.next.fetch_add(1, Ordering::Relaxed)).copied() {
            let subject = &*self.prepared.subjects[batch.model];
            let name = &self.prepared.config.models[batch.model].name;
            // Another model is freed before this one is loaded.
            let reader = match loaded.take().filter(|(number, _)| *number == batch.model) {
                Some((_, reader)) => reader,
                None => subject.open(device)?,
            };
            hand_over(batch, batch.evaluate(name, subject, &*reader)?)?;
            loaded = Some((batch.model, reader));
        }
        Ok(())
    }

    /// No batch is begun after this call.
    fn stop(&self) {
        self.next.store(self.batches.len(), Ordering::Relaxed);
    }
}

/// A library's panic on one device ends the work on the others too, so that it is reported soon.
struct StopOnPanic<'w, 'a>(&'w Queue<'a>);

impl Drop for StopOnPanic<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}
