/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs_config.c - check, which reads the config itself, and reload, which has
 * sluiced read it.
 *
 * Warnings go to stderr and leave the exit status 0: the file may be meant for
 * another machine.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli.h"
#include "sluice/config_change.h"

static void warn(void *user, const char *sentence)
{
	(void)user;
	fprintf(stderr, "sluice: warning: %s\n", sentence);
}

/* Can mail leave from there? Only this machine knows. */
static bool address_is_here(const struct addr *a)
{
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool here;

	if (fd < 0)
		return errno != EAFNOSUPPORT;
	here = bind(fd, &a->sa, addr_len_bytes(a)) == 0 ||
	       errno != EADDRNOTAVAIL;
	close(fd);
	return here;
}

static void sources_check(const struct config *c)
{
	char text[ADDR_TEXT_BYTES];

	for (uint32_t i = 0; i < c->source_count; i++) {
		const struct config_source *s = &c->sources[i];

		if (!address_is_here(&s->address))
			fprintf(stderr,
				"sluice: warning: source '%s': this machine "
				"has no address %s; mail cannot leave from it "
				"here (`ip addr` lists them)\n",
				s->name, addr_format(&s->address, false, text));
	}
}

int verb_check(struct cli *cli)
{
	struct config *c = NULL;
	struct err e = {""};

	if (config_load(cli->config_path, &c, &e) != 0) {
		fprintf(stderr, "sluice: %s\n", e.text);
		return EX_CONFIG;
	}
	config_unused(c, warn, NULL);
	sources_check(c);
	printf("%s: ok: %u sources, %u providers, %u listeners\n",
	       cli->config_path, c->source_count, c->provider_count,
	       c->listen_count);
	config_destroy(&c);
	return 0;
}

static void lines_print(const json_t *list, const char *after)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		print_safe(json_string_value(item), 1000);
		puts(after);
	}
}

int verb_reload(struct cli *cli)
{
	json_t *done = NULL;
	const json_t *changes;
	int rc = connection_ask(cli, json_pack("{s:s}", "verb", "reload"), NULL,
				NULL, &done);

	if (rc != 0)
		return rc;
	changes = json_object_get(done, "changes");
	if (cli->json) {
		print_json("sluice.reload.1", done);
	} else {
		if (json_array_size(changes) == 0)
			puts("reloaded: nothing has changed");
		lines_print(changes, "");
		lines_print(json_object_get(done, "restart"),
			    ": counts after a restart only");
	}
	json_decref(done);
	return 0;
}
