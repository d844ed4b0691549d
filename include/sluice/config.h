/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config.h - sluice.yaml as a checked, constant struct.
 *
 * config_load() reads, checks and resolves everything; what it returns is
 * never changed again. Errors name file:line:column and suggest the nearest
 * key. Missing keys have safe defaults: loopback only, nothing relayed.
 * Any thread may read. Format: docs/configuration.md.
 */
#ifndef SLUICE_CONFIG_H
#define SLUICE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice/addr.h"
#include "sluice/err.h"
#include "sluice/log.h"
#include "sluice/pace.h"

#define CONFIG_DEFAULT_PATH "/etc/sluice/sluice.yaml"

enum config_order { ORDER_OLDEST, ORDER_NEWEST, ORDER_SMALLEST };
enum config_count { COUNT_MESSAGES, COUNT_RECIPIENTS };
enum config_by { BY_MX, BY_DOMAIN };

enum config_bare_newline { BARE_REJECT, BARE_NORMALISE };

/* Where a limit is 0, the server's default counts. */
struct config_listen {
	struct addr address;
	struct addr_prefix *allow; /* who may relay */
	uint32_t allow_count;
	struct addr_prefix *trust; /* who may say XCLIENT and XFORWARD */
	uint32_t trust_count;
	uint64_t size_max_bytes;
	uint32_t sessions_max;
	uint32_t sessions_per_client; /* 0 = half of them */
	uint32_t messages_max;        /* in a session; 0 = no limit */
	uint32_t rcpts_max;           /* in a message */
	uint32_t errors_max;          /* in a session */
	uint64_t timeout_ns;          /* for a command */
	uint64_t session_ns;          /* for a session */
	uint8_t bare_newline;         /* enum config_bare_newline */
};

struct config_source {
	char *name;
	struct addr address;        /* port 0 */
	struct addr public_address; /* = address unless NAT hides it */
	char *helo;
	bool gone; /* removed by a reload; keeps its number */
};

struct config_pool {
	char *name;
	uint32_t *sources; /* indices into config.sources */
	uint32_t source_count;
};

struct config_provider {
	char *name;     /* "default" is number 0 */
	char **domains; /* A-labels */
	uint32_t domain_count;
	char **mx; /* patterns for domain_match() */
	uint32_t mx_count;
	char *route;            /* "host[:port]", NULL = MX lookup */
	uint32_t pool;          /* index into config.pools */
	struct pace pace_start; /* a new path begins here */
	struct pace pace_max;   /* the provider's total */
	struct pace pace_per_source;
	uint64_t batch_interval_ns;
	uint32_t batch_first;
	uint32_t batch_max;
	uint32_t connections_max;     /* per path */
	uint32_t connection_messages; /* then QUIT; 0 = no limit */
	uint32_t recipients_per_message;
	uint8_t order;      /* enum config_order */
	uint8_t count;      /* enum config_count */
	uint8_t by;         /* enum config_by; of "default" only */
	uint8_t live_share; /* per cent for live mail ahead of backlog */
};

struct config_domain {
	char *name;
	struct pace pace;
};

struct config_zone {
	char *name;
	char **servers; /* "addr[:port]" */
	uint32_t server_count;
};
struct config_node;

struct config {
	char *path;
	const struct config_node *tree; /* as written; config_change.h */
	struct {
		char *dir;
		uint64_t min_free_bytes;
		uint64_t min_free_inodes;
		uint64_t segment_bytes;
		bool outcome_sync_message; /* spool.outcome_sync: message */
	} spool;
	struct {
		char *dir;    /* run.dir: board, socket, pid: /run/sluice */
		char *socket; /* run.dir/sluiced.sock */
		char *user;   /* run.user: drop to it when started as root */
	} run;
	uint32_t workers;
	struct {
		char **servers; /* "addr[:port]"; none = /etc/resolv.conf */
		uint32_t server_count;
		struct config_zone *zones; /* with their own servers */
		uint32_t zone_count;
		uint64_t timeout_ns; /* a question that is not answered */
	} resolver;
	struct {
		uint64_t first_ns, max_ns; /* 5 min doubling to 4 h */
		uint64_t lifetime_ns;      /* 5 d from first release */
		uint64_t block_max_age_ns; /* 14 d */
	} retry;
	struct {
		/* Timeouts of the SMTP client: each is for one answer (data:
		 * for one block of content), however slowly it comes. */
		uint64_t connect_ns, greeting_ns, ehlo_ns, mail_ns, rcpt_ns,
			data_command_ns, data_ns, eom_ns, quit_ns, idle_ns;
		uint64_t command_ns; /* of those not named; 0 = not given */
		uint32_t connections_total;
		bool chunking; /* BDAT where offered, instead of DATA */
		uint16_t port; /* 25; tests use another */
	} delivery;
	struct {
		enum log_level level;
		enum log_format format;
	} log;
	char *rules; /* classify.rules: path, NULL = built in */
	struct config_listen *listens;
	uint32_t listen_count;
	struct config_source *sources;
	uint32_t source_count;
	struct config_pool *pools; /* "default" is number 0 */
	uint32_t pool_count;
	struct config_provider *providers;
	uint32_t provider_count;
	struct config_domain *domains;
	uint32_t domain_count;
};

/* -ENOENT, -EINVAL, -ENOMEM with `e` filled in. `config_destroy()` frees. */
int config_load(const char *path, struct config **out, struct err *e);
int config_parse(const char *text, const char *name, struct config **out,
		 struct err *e);
void config_destroy(struct config **c);
/* Where the command socket is, also when something else in the file is wrong:
 * a running sluiced goes on with the old one. Writes at most `room` bytes.
 * -ENOENT, -EINVAL (no YAML, too long) with `e`. */
int config_socket(const char *path, char *socket, size_t room, struct err *e);

/* "HOST" or "HOST:PORT", as `route` of a provider. */
bool config_route_valid(const char *text);
/* Units, also used by the command line: "5GiB", "10s", "4h", "5d". */
int config_size_parse(const char *text, uint64_t *bytes);
int config_duration_parse(const char *text, uint64_t *ns);

#endif
