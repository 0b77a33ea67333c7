//! The receiver of log lines.

use crate::scene;
use relayattn::{Cache, CacheOptions, LogLevel, Model, PlanOptions};
use std::sync::{Arc, Mutex};

#[test]
fn the_receiver_gets_a_line_about_the_device_at_once() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let context = scene::context();
    let to = lines.clone();
    context.set_log(move |level, text| to.lock().unwrap().push((level, text.to_string()))).unwrap();
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].0, LogLevel::Info);
    assert!(lines[0].1.contains("CPU"), "{}", lines[0].1);
}

#[test]
fn a_receiver_is_dropped_when_another_comes_or_the_context_goes() {
    let (first, second) = (Arc::new(()), Arc::new(()));
    let context = scene::context();
    let kept = first.clone();
    context.set_log(move |_, _| drop(kept.clone())).unwrap();
    assert_eq!(Arc::strong_count(&first), 2);
    let kept = second.clone();
    context.set_log(move |_, _| drop(kept.clone())).unwrap();
    assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (1, 2));
    drop(context);
    assert_eq!(Arc::strong_count(&second), 1);
}

#[test]
fn a_panic_of_the_receiver_goes_no_further() {
    let context = scene::context();
    context.set_log(|_, _| panic!("by the receiver, on purpose")).unwrap();
    assert!(context.num_threads().is_ok());
}

/// An open step that ends with its batch is warned of.
#[test]
fn warnings_come_until_the_context_is_dropped() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let (context, to) = (scene::context(), lines.clone());
    context.set_log(move |level, _| to.lock().unwrap().push(level)).unwrap();
    let model = Model::uniform(1, &scene::layer()).unwrap();
    let cache = Cache::new(&context, &model, &CacheOptions::new(64)).unwrap();
    let end_batch_in_a_step = || {
        let (mut batch, sequence) =
            (cache.batch(&PlanOptions::new()).unwrap(), cache.attach(None).unwrap());
        batch.begin([(&sequence, 1)]).unwrap().detach();
    };
    end_batch_in_a_step();
    assert_eq!(*lines.lock().unwrap(), [LogLevel::Info, LogLevel::Warning]);
    drop(context);
    end_batch_in_a_step();
    assert_eq!(lines.lock().unwrap().len(), 2);
}
