//! The one holder of the engine's Web Worker: sends commands, hands each event to the job it belongs to, and survives a
//! crash of the engine. What commands mean is left to `platform`.
//!
//! A message is `{message, samples, files}`: a [`Command`] or [`Event`] through serde, beside a command a transferred `Float32Array`
//! or an array of `Blob`s, those that lie in a folder as `[path, blob]`, where there is one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use futures_channel::oneshot;
use js_sys::{Array, Float32Array, Object, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{Blob, ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::chronicle::Chronicle;
use super::clock::now_ms;
use super::monitor::Monitor;
use crate::BUILD;
use crate::protocol::{Command, Event, Failure, FailureKind, JobId, ModelInfo};

/// A cheap handle to the worker; clones share it.
#[derive(Clone)]
pub struct Client(Rc<Inner>);

/// What travels beside a command.
#[derive(Debug, Clone)]
pub enum Attachment {
    /// Nothing.
    None,
    /// 16 kHz, mono; the buffer is transferred.
    Samples(Float32Array),
    /// `Blob`s or `File`s, which the browser shares without a copy, or some of them [`with_path`].
    Files(Array),
}

/// A file with its path in the folder that it came with.
pub fn with_path(path: &str, file: &Blob) -> JsValue {
    Array::of2(&path.into(), file).into()
}

struct Inner {
    link: RefCell<Link>,
    /// Kept for as long as the worker may call them.
    worker: RefCell<Option<Running>>,
    /// Sent in order when the engine is ready.
    waiting: RefCell<Vec<(Command, Attachment)>>,
    jobs: RefCell<HashMap<JobId, Job>>,
    next_job: Cell<u32>,
    ready_waiters: RefCell<Vec<oneshot::Sender<Models>>>,
    chronicle: RefCell<Chronicle>,
    monitor: Rc<RefCell<Option<Monitor>>>,
    on_news: Box<dyn Fn(News)>,
}

/// The models that a ready engine offers, or why there is none.
type Models = Result<Vec<ModelInfo>, Failure>;

/// What concerns the whole page and no single job.
pub enum News {
    /// [`Event::Ready`] or [`Event::DeviceLost`].
    Event(Box<Event>),
    /// The worker stopped for ever; [`Client::restart`] starts another.
    Crashed(Failure),
}

enum Link {
    Starting,
    Ready(Vec<ModelInfo>),
    Crashed(Failure),
}

struct Running {
    worker: Worker,
    _on_message: Closure<dyn Fn(MessageEvent)>,
    _on_error: Closure<dyn Fn(ErrorEvent)>,
}

struct Job {
    on_event: Rc<dyn Fn(&Event)>,
    closing: oneshot::Sender<Event>,
}

/// A job that was sent and is not yet closed.
pub struct Reply {
    /// The job's id, for [`Command::Cancel`] and the stream commands.
    pub job: JobId,
    closing: oneshot::Receiver<Event>,
}

impl Reply {
    /// The closing event. A crash of the engine closes every job with [`Event::Failed`].
    pub async fn closing(self) -> Event {
        let job = self.job;
        self.closing.await.unwrap_or_else(|_| Event::Failed { job, failure: crash("the page dropped the job") })
    }
}

impl Client {
    /// Start the worker. `on_news` hears what belongs to no job.
    pub fn start(on_news: impl Fn(News) + 'static) -> Self {
        let client = Client(Rc::new(Inner {
            link: RefCell::new(Link::Starting),
            worker: RefCell::new(None),
            waiting: RefCell::default(),
            jobs: RefCell::default(),
            next_job: Cell::new(1),
            ready_waiters: RefCell::default(),
            chronicle: RefCell::default(),
            monitor: Rc::default(),
            on_news: Box::new(on_news),
        }));
        client.restart();
        client
    }

    /// Start a fresh worker in place of the present one. Pipelines of the old one are gone.
    pub fn restart(&self) {
        if let Some(old) = self.0.worker.take() {
            old.worker.terminate();
        }
        *self.0.link.borrow_mut() = Link::Starting;
        match self.spawn() {
            Ok(running) => *self.0.worker.borrow_mut() = Some(running),
            Err(error) => self.crashed(&describe(&error)),
        }
    }

    /// End the worker; its jobs end as cancelled ones do, because the page is being left. What is asked for now waits for
    /// [`Client::restart`].
    pub fn end(&self) {
        if let Some(running) = self.0.worker.take() {
            running.worker.terminate();
        }
        *self.0.link.borrow_mut() = Link::Starting;
        self.0.waiting.take();
        self.0.chronicle.borrow_mut().lose_models();
        self.fail_all(&Failure {
            kind: FailureKind::Cancelled,
            message: "The page was left before this was done.".into(),
            hint: "Ask for it again.".into(),
        });
    }

    fn spawn(&self) -> Result<Running, JsValue> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(&format!("./worker_boot.js?v={BUILD}"), &options)?;

        let client = self.clone();
        let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| client.receive(&message));
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));

        let client = self.clone();
        let on_error = Closure::<dyn Fn(ErrorEvent)>::new(move |error: ErrorEvent| {
            // A worker whose file cannot be fetched fires a plain event without these fields.
            let message = Reflect::get(&error, &"message".into()).ok().and_then(|m| m.as_string());
            client.crashed(&message.unwrap_or_else(|| "its files could not be loaded".into()));
        });
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Running { worker, _on_message: on_message, _on_error: on_error })
    }

    /// What the engine has told so far.
    pub fn chronicle(&self) -> Chronicle {
        self.0.chronicle.borrow().clone()
    }

    /// What listens to all that is said, where something does.
    pub fn monitor(&self) -> Rc<RefCell<Option<Monitor>>> {
        self.0.monitor.clone()
    }

    /// Lets the monitor hear something, and notes what that costs.
    fn watched(&self, note: impl FnOnce(&mut Monitor, f64)) {
        if let Some(monitor) = self.0.monitor.borrow_mut().as_mut().filter(|monitor| monitor.is_on()) {
            let start = now_ms();
            note(monitor, start);
            monitor.note_cost(now_ms() - start);
        }
    }

    /// Whether the engine stopped for ever.
    pub fn is_crashed(&self) -> bool {
        matches!(*self.0.link.borrow(), Link::Crashed(_))
    }

    /// The models that the engine knows, once it is up.
    pub async fn ready(&self) -> Models {
        let waiting = match &*self.0.link.borrow() {
            Link::Ready(models) => return Ok(models.clone()),
            Link::Crashed(failure) => return Err(failure.clone()),
            Link::Starting => {
                let (sender, receiver) = oneshot::channel();
                self.0.ready_waiters.borrow_mut().push(sender);
                receiver
            }
        };
        waiting.await.unwrap_or_else(|_| Err(crash("the page stopped waiting for it")))
    }

    /// Send a command that carries a job. `on_event` hears every event of it, the closing one too.
    pub fn request(
        &self,
        command: impl FnOnce(JobId) -> Command,
        attachment: Attachment,
        on_event: impl Fn(&Event) + 'static,
    ) -> Reply {
        let job = JobId(self.0.next_job.replace(self.0.next_job.get() + 1));
        let (sender, closing) = oneshot::channel();
        let on_event: Rc<dyn Fn(&Event)> = Rc::new(on_event);
        self.0.jobs.borrow_mut().insert(job, Job { on_event, closing: sender });
        self.send(command(job), attachment);
        Reply { job, closing }
    }

    /// Send a command that is not answered, or that belongs to a job already open.
    pub fn send(&self, command: Command, attachment: Attachment) {
        if let Command::Dispose { pipeline } = command {
            self.0.chronicle.borrow_mut().forget(pipeline);
        }
        let n_samples = if let Attachment::Samples(samples) = &attachment { samples.length() as usize } else { 0 };
        self.watched(|monitor, now| monitor.note_command(&command, n_samples, now));
        let failure = match &*self.0.link.borrow() {
            Link::Starting => {
                self.0.waiting.borrow_mut().push((command, attachment));
                None
            }
            Link::Ready(_) => self.post(&command, attachment).err().map(|error| crash(&describe(&error))),
            Link::Crashed(failure) => Some(failure.clone()),
        };
        if let Some(failure) = failure {
            self.fail_all(&failure);
        }
    }

    fn post(&self, command: &Command, attachment: Attachment) -> Result<(), JsValue> {
        let running = self.0.worker.borrow();
        let Some(running) = running.as_ref() else { return Err("there is no worker".into()) };
        let envelope = Object::new();
        Reflect::set(&envelope, &"message".into(), &serde_wasm_bindgen::to_value(command)?)?;
        let transfer = Array::new();
        match attachment {
            Attachment::None => {}
            Attachment::Samples(samples) => {
                transfer.push(&samples.buffer());
                Reflect::set(&envelope, &"samples".into(), &samples)?;
            }
            Attachment::Files(files) => {
                Reflect::set(&envelope, &"files".into(), &files)?;
            }
        }
        running.worker.post_message_with_transfer(&envelope, &transfer)
    }

    fn receive(&self, message: &MessageEvent) {
        let event = Reflect::get(&message.data(), &"message".into())
            .and_then(|event| Ok(serde_wasm_bindgen::from_value::<Event>(event)?));
        if let Ok(event) = &event {
            self.0.chronicle.borrow_mut().note(event, now_ms());
            self.watched(|monitor, now| monitor.note_event(event, now));
        }
        match event {
            Ok(Event::Ready { models }) => self.become_ready(models),
            Ok(event) => match event.job() {
                Some(job) => self.deliver(job, event),
                None => (self.0.on_news)(News::Event(Box::new(event))),
            },
            Err(error) => {
                self.crashed(&format!("it said something that the page does not understand ({})", describe(&error)))
            }
        }
    }

    fn become_ready(&self, models: Vec<ModelInfo>) {
        *self.0.link.borrow_mut() = Link::Ready(models.clone());
        for (command, attachment) in self.0.waiting.take() {
            self.send(command, attachment);
        }
        for waiter in self.0.ready_waiters.take() {
            // A waiter that is gone has lost interest; that is fine.
            let _ = waiter.send(Ok(models.clone()));
        }
        (self.0.on_news)(News::Event(Box::new(Event::Ready { models })));
    }

    fn deliver(&self, job: JobId, event: Event) {
        // The borrow ends before the callback, which may send commands of its own.
        let on_event = self.0.jobs.borrow().get(&job).map(|job| job.on_event.clone());
        let Some(on_event) = on_event else { return };
        on_event(&event);
        if event.is_closing()
            && let Some(job) = self.0.jobs.borrow_mut().remove(&job)
        {
            // Nobody waits for a job that was fired and forgotten.
            let _ = job.closing.send(event);
        }
    }

    fn crashed(&self, message: &str) {
        let failure = crash(message);
        self.0.chronicle.borrow_mut().note_crash(&failure, now_ms());
        *self.0.link.borrow_mut() = Link::Crashed(failure.clone());
        if let Some(running) = self.0.worker.borrow().as_ref() {
            running.worker.terminate();
        }
        self.0.waiting.take();
        for waiter in self.0.ready_waiters.take() {
            let _ = waiter.send(Err(failure.clone()));
        }
        self.fail_all(&failure);
        (self.0.on_news)(News::Crashed(failure));
    }

    fn fail_all(&self, failure: &Failure) {
        let jobs: Vec<JobId> = self.0.jobs.borrow().keys().copied().collect();
        for job in jobs {
            self.deliver(job, Event::Failed { job, failure: failure.clone() });
        }
    }
}

fn crash(message: &str) -> Failure {
    Failure {
        kind: FailureKind::Internal,
        message: format!("The engine stopped: {message}"),
        hint: "Start it again; your recording and text are kept. If it happens again, please report these words."
            .into(),
    }
}

/// The words of a JavaScript exception.
pub fn describe(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => error.as_string().unwrap_or_else(|| format!("{error:?}")),
    }
}
