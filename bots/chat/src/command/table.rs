//! The commands.

/// What a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Start a job.
    Run,
    /// One job.
    Status,
    /// The latest jobs.
    List,
    /// End a job.
    Cancel,
    /// Try again.
    Retry,
    /// Files.
    Artifacts,
    /// Money.
    Cost,
    /// Go on from a job.
    FollowUp,
    /// Make a schedule.
    ScheduleCreate,
    /// All schedules.
    ScheduleList,
    /// Let a schedule stand still.
    SchedulePause,
    /// Let it go on.
    ScheduleResume,
    /// Take it away.
    ScheduleDelete,
    /// Connect the chat.
    Link,
    /// Disconnect it.
    Unlink,
    /// What there is.
    Help,
    /// Telegram's greeting.
    Start,
}

/// A command.
#[derive(Debug)]
pub struct Spec {
    /// What it is about.
    pub verb: Verb,
    /// Its words after `/crew` on Discord; none where it isn't there.
    pub discord: &'static [&'static str],
    /// Its words after `/` on Telegram; the first is registered, the second tells apart what shares a first.
    pub telegram: &'static [&'static str],
    /// What else the first word may be on Telegram.
    pub also: &'static [&'static str],
    /// What it does, in at most 100 characters.
    pub about: &'static str,
    /// What it takes; what must be there stands first.
    pub options: &'static [Opt],
}

/// An option.
#[derive(Debug)]
pub struct Opt {
    /// Its name.
    pub name: &'static str,
    /// What it says, in at most 100 characters.
    pub about: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// Where it stands on Telegram.
    pub place: Place,
    /// Whether nothing can be done without it; prompts are asked for instead.
    pub is_required: bool,
}

/// What an option may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A flow's name.
    Flow,
    /// What is wanted, in words.
    Prompt,
    /// A job.
    Job,
    /// US dollars.
    Money,
    /// What else a flow takes.
    Input,
    /// A file.
    File,
    /// A job's state.
    Status,
    /// When a schedule starts work.
    When,
    /// A time zone.
    Zone,
    /// A schedule.
    Schedule,
    /// A one-time code.
    Code,
    /// A file of a job's, by its path.
    Path,
}

/// Where an option stands in what is typed on Telegram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The next word.
    Word,
    /// The next words, as many as make sense.
    Words,
    /// All that is left.
    Rest,
    /// `--name value`, before the rest or at its end.
    Flag,
    /// It comes with the message.
    Beside,
}

/// Longest name of a flow, in characters.
pub const FLOW_CHARS_MAX: usize = 40;
/// Longest prompt in an option of Discord, in characters.
pub const PROMPT_CHARS_MAX: usize = 6_000;

const fn opt(name: &'static str, about: &'static str, kind: Kind, place: Place) -> Opt {
    Opt { name, about, kind, place, is_required: false }
}

const fn must(name: &'static str, about: &'static str, kind: Kind, place: Place) -> Opt {
    Opt { name, about, kind, place, is_required: true }
}

const FLOW: Opt = opt("flow", "Which flow works on it; software where it is left out", Kind::Flow, Place::Flag);
const PROMPT: Opt = opt("prompt", "What you want, in your words; left out, you are asked", Kind::Prompt, Place::Rest);
const BUDGET: Opt = opt("budget", "Most that it may cost, in US dollars, such as 1.50", Kind::Money, Place::Flag);
const INPUT: Opt =
    opt("input", "What else the flow takes, such as review_plan=true; several with commas", Kind::Input, Place::Flag);
const JOB: Opt = opt("job", "Which job: its id, or the end of it", Kind::Job, Place::Word);
const PATH: Opt = opt("path", "One file alone, such as src/main.py", Kind::Path, Place::Rest);
const SCHEDULE: Opt = must("schedule", "Which schedule: its id, or the end of it", Kind::Schedule, Place::Word);

const RUN: &[Opt] = &[
    FLOW,
    BUDGET,
    INPUT,
    PROMPT,
    opt("file", "A file that the work needs", Kind::File, Place::Beside),
    opt("file2", "Another file", Kind::File, Place::Beside),
    opt("file3", "And another", Kind::File, Place::Beside),
];
const SCHEDULE_CREATE: &[Opt] = &[
    must("when", "daily 06:00, weekdays 06:00, mon 06:00, every 6h, or a crontab in quotes", Kind::When, Place::Words),
    Opt { is_required: true, ..PROMPT },
    FLOW,
    BUDGET,
    INPUT,
    opt("zone", "The time zone, such as Europe/Berlin; UTC where it is left out", Kind::Zone, Place::Flag),
];

const fn spec(verb: Verb, both: &'static [&'static str], about: &'static str, options: &'static [Opt]) -> Spec {
    Spec { verb, discord: both, telegram: both, also: &[], about, options }
}

/// All commands, in the order in which the help shows them.
pub const COMMANDS: &[Spec] = &[
    spec(Verb::Run, &["run"], "Put a crew of agents to work", RUN),
    spec(Verb::Status, &["status"], "How a job stands", &[JOB]),
    Spec {
        telegram: &["jobs"],
        also: &["list"],
        ..spec(
            Verb::List,
            &["list"],
            "The latest jobs",
            &[opt("status", "Only those in this state", Kind::Status, Place::Rest)],
        )
    },
    Spec { also: &["stop"], ..spec(Verb::Cancel, &["cancel"], "End a job; what is done is kept", &[JOB]) },
    spec(
        Verb::Retry,
        &["retry"],
        "Try a failed or cancelled job again; what was done isn't done twice",
        &[JOB, BUDGET],
    ),
    Spec { also: &["files"], ..spec(Verb::Artifacts, &["artifacts"], "The files that a job has made", &[JOB, PATH]) },
    spec(Verb::Cost, &["cost"], "What a job cost, or the latest jobs together", &[JOB]),
    Spec {
        telegram: &["followup"],
        also: &["follow_up", "follow-up"],
        ..spec(Verb::FollowUp, &["follow-up"], "Go on from the files that a job has made", &[JOB, BUDGET, PROMPT])
    },
    Spec {
        telegram: &["schedule"],
        ..spec(
            Verb::ScheduleCreate,
            &["schedule", "create"],
            "Start work by the clock, again and again",
            SCHEDULE_CREATE,
        )
    },
    spec(Verb::ScheduleList, &["schedule", "list"], "All schedules", &[]),
    spec(Verb::SchedulePause, &["schedule", "pause"], "Let a schedule stand still", &[SCHEDULE]),
    spec(Verb::ScheduleResume, &["schedule", "resume"], "Let a schedule go on", &[SCHEDULE]),
    spec(Verb::ScheduleDelete, &["schedule", "delete"], "Take a schedule away", &[SCHEDULE]),
    spec(
        Verb::Link,
        &["link"],
        "Connect this chat, with a code that “convoke link” prints",
        &[opt("code", "The code", Kind::Code, Place::Word)],
    ),
    spec(Verb::Unlink, &["unlink"], "Disconnect this chat", &[]),
    spec(Verb::Help, &["help"], "What you can ask for", &[]),
    Spec {
        discord: &[],
        ..spec(Verb::Start, &["start"], "Say hello", &[opt("payload", "Of a link", Kind::Code, Place::Word)])
    },
];

impl Spec {
    /// The command of a verb.
    pub fn of(verb: Verb) -> &'static Self {
        COMMANDS.iter().find(|spec| spec.verb == verb).unwrap_or(&COMMANDS[0])
    }

    /// As it is typed on Discord.
    pub fn on_discord(&self) -> String {
        format!("/crew {}", self.discord.join(" "))
    }

    /// As it is typed on Telegram.
    pub fn on_telegram(&self) -> String {
        format!("/{}", self.telegram.join(" "))
    }

    /// How it is written on Telegram, with all that it takes.
    pub fn usage(&self) -> String {
        let mut usage = self.on_telegram();
        for place in [Place::Word, Place::Words, Place::Flag, Place::Rest] {
            for option in self.options.iter().filter(|option| option.place == place) {
                usage.push(' ');
                usage.push_str(&option.usage());
            }
        }
        usage
    }
}

impl Opt {
    fn usage(&self) -> String {
        let shown = match self.kind {
            Kind::Prompt => "what you want".to_owned(),
            Kind::Money => "1.50".to_owned(),
            Kind::Input => "name=value".to_owned(),
            Kind::Zone => "Europe/Berlin".to_owned(),
            Kind::When => "daily 06:00".to_owned(),
            _ => self.name.to_uppercase(),
        };
        let shown = if self.place == Place::Flag { format!("--{} {shown}", self.name) } else { shown };
        let is_open = self.is_required || self.kind == Kind::Prompt;
        if is_open { shown } else { format!("[{shown}]") }
    }
}
