//! What only the browser knows of the time between a start and a stop: tasks that held the page up, and the moments at which
//! the engine is asked.

use std::cell::RefCell;
use std::rc::Rc;

use gloo_timers::callback::Interval;
use js_sys::Array;
use wasm_bindgen::prelude::*;
use web_sys::{PerformanceObserver, PerformanceObserverEntryList, PerformanceObserverInit};

use super::{Monitor, TimedTasks};
use crate::ui::clock::now_ms;

/// A timer that is to come so often, in ms, and so late that it was held up.
const TICK_MS: u32 = 100;
const LATE_MS: f64 = 50.0;
/// The engine is asked so often, in ms: for memory, and for what the GPU did.
const ASK_MS: u32 = 1000;

/// The browser's own watch over tasks, and what it calls.
type Observing = (PerformanceObserver, Closure<dyn FnMut(PerformanceObserverEntryList)>);

/// Watches for as long as it lives.
pub struct Watch {
    observer: Option<Observing>,
    _timer: Option<Interval>,
    _asking: Interval,
}

impl Watch {
    /// How this browser lets long tasks be noticed.
    pub fn timed_tasks() -> TimedTasks {
        let types = js_sys::Reflect::get(&js_sys::global(), &"PerformanceObserver".into())
            .and_then(|observer| js_sys::Reflect::get(&observer, &"supportedEntryTypes".into()))
            .map(|types| if Array::is_array(&types) { Array::from(&types) } else { Array::new() });
        match types.is_ok_and(|types| types.includes(&"longtask".into(), 0)) {
            true => TimedTasks::Browser,
            false => TimedTasks::Timer,
        }
    }

    /// Begins; `ask` is called once a second.
    pub fn begin(monitor: Rc<RefCell<Option<Monitor>>>, ask: impl Fn() + 'static) -> Self {
        let observer = match Self::timed_tasks() {
            TimedTasks::Browser => observe(monitor.clone()),
            TimedTasks::Timer => None,
        };
        let timer = observer.is_none().then(|| {
            let mut last_ms = now_ms();
            Interval::new(TICK_MS, move || {
                let now = now_ms();
                let late_ms = now - last_ms - f64::from(TICK_MS);
                if late_ms > LATE_MS
                    && let Some(monitor) = monitor.borrow_mut().as_mut()
                {
                    monitor.note_long_task(now - late_ms, late_ms);
                }
                last_ms = now;
            })
        });
        ask();
        Self { observer, _timer: timer, _asking: Interval::new(ASK_MS, ask) }
    }
}

fn observe(monitor: Rc<RefCell<Option<Monitor>>>) -> Option<Observing> {
    let heard = Closure::<dyn FnMut(PerformanceObserverEntryList)>::new(move |list: PerformanceObserverEntryList| {
        if let Some(monitor) = monitor.borrow_mut().as_mut() {
            for entry in list.get_entries().iter() {
                let entry: web_sys::PerformanceEntry = entry.unchecked_into();
                monitor.note_long_task(entry.start_time(), entry.duration());
            }
        }
    });
    let observer = PerformanceObserver::new(heard.as_ref().unchecked_ref()).ok()?;
    observer.observe(&PerformanceObserverInit::new(&Array::of1(&"longtask".into())));
    Some((observer, heard))
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some((observer, _)) = &self.observer {
            observer.disconnect();
        }
    }
}
