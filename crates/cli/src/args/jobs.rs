//! `rolecall jobs ...`

use clap::{ArgGroup, Args, Subcommand};
use rolecall_queue::Queue;

use crate::cmd::jobs::dead::DeadId;

#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// The newest run of every recurring job.
    List,
    /// Run a recurring job now, wait for it, and print what it did.
    Run {
        /// Its name, such as `due_sweep`.
        name: String,
    },
    /// How full the queues are, and how long their oldest job has been waiting.
    Queues,
    /// Jobs that were given up.
    #[command(subcommand)]
    Dead(Dead),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// The dead jobs of all queues, those that died first first.
    List {
        /// Only those of this queue.
        #[arg(long, value_parser = queue)]
        queue: Option<Queue>,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// All about one job, but for what is secret or personal.
    Show {
        /// Its id, `<queue>/<entry>`, as the list prints it.
        id: DeadId,
    },
    /// Give jobs all their attempts again.
    Redrive(Which),
    /// Let jobs go for good. What is owed stays owed in the database.
    Purge(Which),
}

/// Which of the dead jobs.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["ids", "all"])))]
pub(crate) struct Which {
    /// Their ids, as the list prints them.
    pub(crate) ids: Vec<DeadId>,
    /// All of them.
    #[arg(long)]
    pub(crate) all: bool,
    /// Only those of this queue.
    #[arg(long, value_parser = queue, requires = "all")]
    pub(crate) queue: Option<Queue>,
}

fn queue(name: &str) -> Result<Queue, String> {
    name.parse().map_err(|_| {
        let names = Queue::ALL.map(Queue::name);
        format!("the queues are {}", names.join(", "))
    })
}
