/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix.c - drain's contender: a real, private Postfix.
 *
 * Called by drain once per round, on its thread. It has its own config, queue
 * and data directories below the run's directory and listens nowhere; the
 * system's Postfix is not touched.
 * Errors: -ENOENT, -EPERM before anything is done; else Postfix's last words.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drain/drain_priv.h"
#include "sluice/clock.h"

#define COMMAND_DIR "/usr/sbin"
#define POSTFIX     "/usr/sbin/postfix"
#define DAEMON_DIR  "/usr/lib/postfix/sbin"
#define OWNER       "postfix"
#define COMMAND_NS  (120 * NS_PER_S)

static const char main_cf[] = "compatibility_level = 3.6\n"
			      "queue_directory = %s/queue\n"
			      "data_directory = %s/data\n"
			      "command_directory = " COMMAND_DIR "\n"
			      "daemon_directory = " DAEMON_DIR "\n"
			      "mail_owner = " OWNER "\n"
			      "setgid_group = postdrop\n"
			      "myhostname = drain.bench.test\n"
			      "mydestination =\n"
			      "inet_interfaces = 127.0.0.1\n"
			      "inet_protocols = ipv4\n"
			      "relayhost = [127.0.0.1]:%u\n"
			      "smtp_host_lookup = native\n"
			      "smtp_dns_support_level = disabled\n"
			      "smtp_tls_security_level = none\n"
			      "smtp_line_length_limit = 0\n"
			      "alias_maps =\n"
			      "alias_database =\n"
			      "local_recipient_maps =\n"
			      "maillog_file = %s/data/maillog\n"
			      "maillog_file_prefixes = %s\n"
			      "%s";

/* What its own documentation advises for one fast next hop. */
static const char tuned_cf[] =
	"default_destination_concurrency_limit = %llu\n"
	"initial_destination_concurrency = %llu\n"
	"default_process_limit = %llu\n"
	"qmgr_message_active_limit = 100000\n"
	"qmgr_message_recipient_limit = 100000\n"
	"smtp_connection_cache_on_demand = yes\n"
	"smtp_connection_cache_destinations = [127.0.0.1]:%u\n"
	"smtp_connection_reuse_time_limit = 3600s\n";

static const char master_cf[] = "pickup unix n - n 60 1 pickup\n"
				"cleanup unix n - n - 0 cleanup\n"
				"qmgr unix n - n 300 1 qmgr\n"
				"rewrite unix - - n - - trivial-rewrite\n"
				"bounce unix - - n - 0 bounce\n"
				"defer unix - - n - 0 bounce\n"
				"trace unix - - n - 0 bounce\n"
				"verify unix - - n - 1 verify\n"
				"flush unix n - n 1000? 0 flush\n"
				"proxymap unix - - n - - proxymap\n"
				"smtp unix - - n - - smtp\n"
				"relay unix - - n - - smtp\n"
				"showq unix n - n - - showq\n"
				"error unix - - n - - error\n"
				"retry unix - - n - - error\n"
				"discard unix - - n - - discard\n"
				"local unix - n n - - local\n"
				"anvil unix - - n - 1 anvil\n"
				"scache unix - - n - 1 scache\n"
				"postlog unix-dgram n - n - 1 postlogd\n";

static const struct passwd *owner_find(void)
{
	/* One thread here. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	return getpwnam(OWNER);
}

int drain_postfix_check(struct err *e)
{
	if (access(POSTFIX, X_OK) != 0 || !owner_find())
		return err_set(e, -ENOENT,
			       "--against postfix: Postfix is not installed: "
			       "no %s/postfix, or no user %s",
			       COMMAND_DIR, OWNER);
	if (geteuid() != 0)
		return err_set(e, -EPERM,
			       "--against postfix: only root can start one");
	return 0;
}

static int config_write(struct drain *d, bool tuned, struct err *e)
{
	struct drain_path main_path = drain_path(d, "etc/main.cf"),
			  master = drain_path(d, "etc/master.cf"),
			  etc = drain_path(d, "etc"),
			  data = drain_path(d, "data");
	const struct passwd *pw = owner_find();
	unsigned long long c = d->connections;
	char more[1024] = "";
	int err = 0;

	if (tuned)
		snprintf(more, sizeof(more), tuned_cf, c, c, c + 50, d->port);
	if (mkdir(etc.text, 0755) != 0 || mkdir(data.text, 0755) != 0 ||
	    chown(data.text, pw->pw_uid, (gid_t)-1) != 0)
		err = -errno;
	if (!err)
		err = drain_text_write(main_path.text, main_cf, d->dir, d->dir,
				       d->port, d->dir, d->dir, more);
	if (!err)
		err = drain_text_write(master.text, "%s", master_cf);
	return err ? err_set(e, err, "%s: %s", d->dir, err_name(err)) : 0;
}

static int postfix_command(struct drain *d, const char *verb, struct err *e)
{
	struct drain_path etc = drain_path(d, "etc"),
			  log = drain_path(d, "postfix.log");
	const char *argv[] = {POSTFIX, "-c", etc.text, verb, NULL};

	return process_run(argv, log.text, COMMAND_NS, 0, e);
}

/* The queue has to be reachable for Postfix's user. */
static int queue_make(struct drain *d, struct err *e)
{
	struct drain_path queue = drain_path(d, "queue");
	int err = drain_backlog(d, "postfix", "queue", OWNER, e);

	if (!err && chmod(queue.text, 0755) != 0)
		err = err_set(e, -errno, "%s: %s", queue.text, err_name(errno));
	return err;
}

static int postfix_drain(struct drain *d, bool tuned, struct drain_sample *out,
			 struct err *e)
{
	int err = queue_make(d, e);
	struct err ignored;
	uint64_t start_ns;

	if (!err)
		err = drain_sink_start(d, true, e);
	if (!err)
		err = config_write(d, tuned, e);
	if (err) {
		process_stop(&d->sink, NULL);
		return err;
	}
	start_ns = clock_monotonic_ns();
	err = postfix_command(d, "start", e);
	if (!err)
		err = drain_sink_wait(d, start_ns, out, e);
	postfix_command(d, "stop", &ignored);
	process_stop(&d->sink, NULL);
	return err;
}

int drain_postfix(struct drain *d, struct drain_sample *out, struct err *e)
{
	return postfix_drain(d, false, out, e);
}

int drain_postfix_tuned(struct drain *d, struct drain_sample *out,
			struct err *e)
{
	return postfix_drain(d, true, out, e);
}
