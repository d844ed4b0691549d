/* SPDX-License-Identifier: BSD-2-Clause
 *
 * main.c - sluiced: reads the config, starts the mail plane, runs its loop.
 *
 * Exit status: 0 after SIGTERM or SIGINT; EX_CONFIG for a config error,
 * EX_TEMPFAIL when the spool is in use, other sysexits for the environment.
 */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "sluice/clock.h"
#include "sluice/config_change.h"
#include "sluice/log.h"
#include "sluiced/engine.h"
#include "sluiced/limits.h"
#include "sluiced/service.h"
#include "sluiced/sockets.h"

static volatile sig_atomic_t stop_asked;
static volatile sig_atomic_t reload_asked;

static void on_signal(int sig)
{
	if (sig == SIGHUP)
		reload_asked = 1;
	else
		stop_asked = 1;
}

static void signals_init(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void usage(FILE *f)
{
	fprintf(f, "usage: sluiced [-c FILE] [--check] [--version]\n"
		   "  -c, --config FILE   default " CONFIG_DEFAULT_PATH "\n"
		   "      --check         check the config and exit\n"
		   "  -h, --help          this text\n");
}

/* The directories above `path`, as `mkdir -p` makes them. */
static int parents_ready(const char *path)
{
	char above[4096];

	for (const char *p = strchr(path + 1, '/'); p != NULL;
	     p = strchr(p + 1, '/')) {
		if ((size_t)(p - path) >= sizeof(above)) {
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(above, path, (size_t)(p - path));
		above[p - path] = '\0';
		if (mkdir(above, 0755) != 0 && errno != EEXIST)
			return -1;
	}
	return 0;
}

/* Directories that the daemon's user must be able to write. */
static int dir_ready(const char *path, mode_t mode, const struct passwd *pw,
		     struct err *e)
{
	if (parents_ready(path) != 0 ||
	    (mkdir(path, mode) != 0 && errno != EEXIST))
		return err_set(e, -errno,
			       "%s: %s; create it, or change the config", path,
			       err_name(errno));
	if (pw != NULL && chown(path, pw->pw_uid, pw->pw_gid) != 0)
		return err_set(e, -errno, "%s: chown to %s: %s", path,
			       pw->pw_name, err_name(errno));
	return 0;
}

static int user_drop(const struct passwd *pw, struct err *e)
{
	if (initgroups(pw->pw_name, pw->pw_gid) != 0 ||
	    setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
		return err_set(e, -errno, "cannot become user %s: %s",
			       pw->pw_name, err_name(errno));
	return 0;
}

/* Ports below 1024 and the folders need root: they come before the change of
 * user. */
static int surroundings_ready(const struct config *c, struct sockets *sockets,
			      struct err *e)
{
	const struct passwd *pw = NULL;
	int rc = limits_raise(c->delivery.connections_total, e);

	if (rc != 0)
		return rc;
	if (c->run.user != NULL && geteuid() == 0) {
		/* Before any thread is started. */
		/* NOLINTNEXTLINE(concurrency-mt-unsafe) */
		pw = getpwnam(c->run.user);
		if (pw == NULL)
			return err_set(e, -ENOENT,
				       "run.user: there is no user %s; create "
				       "it (useradd --system %s)",
				       c->run.user, c->run.user);
	}
	rc = sockets_inherit(sockets, e);
	if (rc == 0)
		rc = sockets_bind(sockets, c, e);
	if (rc == 0)
		rc = dir_ready(c->run.dir, 0755, pw, e);
	if (rc == 0)
		rc = dir_ready(c->spool.dir, 0700, pw, e);
	if (rc == 0 && pw != NULL)
		rc = user_drop(pw, e);
	return rc;
}

static int run(struct engine *en)
	RUNS_ON(role_queue, role_spool, role_worker, role_command)
{
	struct err e;
	int rc = 0;

	while (rc == 0 && !engine_stopped(en)) {
		if (stop_asked == 1) {
			stop_asked = 2;
			service_stopping();
			engine_stop(en);
		}
		if (reload_asked) {
			reload_asked = 0;
			/* The error is in the log and in `status`. */
			(void)engine_reload(en, NULL, &e);
		}
		rc = engine_step(en);
		if (rc == -EINTR)
			rc = 0;
		service_step(en, clock_monotonic_ns());
	}
	return rc;
}

/* One thread plays all roles but the resolver's. */
static void roles_enter(void)
	ROLE_ENTERS(role_queue, role_spool, role_worker, role_command)
{
	role_enter(&role_queue);
	role_enter(&role_spool);
	role_enter(&role_worker);
	role_enter(&role_command);
}

static void roles_leave(void)
	ROLE_LEAVES(role_queue, role_spool, role_worker, role_command)
{
	role_leave(&role_command);
	role_leave(&role_worker);
	role_leave(&role_spool);
	role_leave(&role_queue);
}

struct arguments {
	const char *config;
	bool check;
};

static int arguments_parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 'k'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}};
	int opt;

	/* Before any thread is started. */
	/* NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while ((opt = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			a->config = optarg;
			break;
		case 'k':
			a->check = true;
			break;
		case 'V':
			printf("sluiced %s\n", SLUICE_VERSION);
			return -1;
		case 'h':
			usage(stdout);
			return -1;
		default:
			usage(stderr);
			return EX_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "sluiced: unexpected argument '%s'\n",
			argv[optind]);
		return EX_USAGE;
	}
	return 0;
}

static void warn_unused(void *user, const char *sentence)
{
	(void)user;
	log_warn("config", "%s", sentence);
}

/* From the config to a stopped engine; the exit status. */
static int serve(struct config *c)
	RUNS_ON(role_queue, role_spool, role_worker, role_command)
{
	struct engine *en = NULL;
	struct sockets sockets;
	struct err e = {""};
	int status = EX_OSERR;
	int rc;

	sockets_init(&sockets);
	rc = surroundings_ready(c, &sockets, &e);
	if (rc == 0)
		rc = engine_create(&en, c, &sockets, &status, &e);
	if (rc != 0) {
		fprintf(stderr, "sluiced: %s\n", e.text);
		return status;
	}
	sockets_close(&sockets);
	config_unused(c, warn_unused, NULL);
	log_info("started", "%s, socket %s", c->path, c->run.socket);
	service_ready();
	rc = run(en);
	engine_destroy(&en);
	log_info("stopped", "%s", rc == 0 ? "cleanly" : err_name(rc));
	return rc == 0 ? 0 : EX_OSERR;
}

static void print_unused(void *user, const char *sentence)
{
	(void)user;
	fprintf(stderr, "sluiced: warning: %s\n", sentence);
}

int main(int argc, char **argv)
{
	struct arguments a = {CONFIG_DEFAULT_PATH, false};
	struct config *c = NULL;
	struct err e = {""};
	int rc = arguments_parse(argc, argv, &a);

	if (rc != 0)
		return rc < 0 ? 0 : rc;
	log_init("sluiced", LOG_INFO_, LOG_TEXT);
	if (config_load(a.config, &c, &e) != 0) {
		fprintf(stderr, "sluiced: %s\n", e.text);
		return EX_CONFIG;
	}
	if (a.check) {
		config_unused(c, print_unused, NULL);
		printf("%s: ok\n", a.config);
	} else {
		log_init("sluiced", c->log.level, c->log.format);
		signals_init();
		roles_enter();
		rc = serve(c);
		roles_leave();
	}
	config_destroy(&c);
	return rc;
}
