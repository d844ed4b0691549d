/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_delivery.c - the SMTP client: its timeouts and its bounds.
 *
 * Called while a config is read. `delivery.command` is a short way to name
 * several timeouts at once; one that is named itself counts before it.
 * Errors: -EINVAL with the place.
 */
#include <stddef.h>

#include "config_priv.h"
#include "sluice/clock.h"

#define CONNECTIONS_MAX 1000000

#define AT(member) offsetof(struct config, delivery.member)

static int read_connections(struct config_reader *r,
			    const struct config_node *n, void *to)
{
	return config_read_number(r, n, 1, CONNECTIONS_MAX, to);
}

static int read_port(struct config_reader *r, const struct config_node *n,
		     void *to)
{
	uint32_t port;
	int res = config_read_number(r, n, 1, 65535, &port);
	if (res == 0)
		*(uint16_t *)to = (uint16_t)port;
	return res;
}

static int read_chunking(struct config_reader *r, const struct config_node *n,
			 void *to)
{
	static const char *const words[] = {"never", "offered", NULL};
	uint32_t index;
	int res = config_read_word(r, n, words, &index);
	if (res == 0)
		*(bool *)to = index == 1;
	return res;
}

const struct config_key config_keys_delivery[] = {
	{"connect", config_read_duration, AT(connect_ns), NULL},
	{"greeting", config_read_duration, AT(greeting_ns), NULL},
	{"command", config_read_duration, AT(command_ns), NULL},
	{"ehlo", config_read_duration, AT(ehlo_ns), NULL},
	{"mail", config_read_duration, AT(mail_ns), NULL},
	{"rcpt", config_read_duration, AT(rcpt_ns), NULL},
	{"data_command", config_read_duration, AT(data_command_ns), NULL},
	{"data", config_read_duration, AT(data_ns), NULL},
	{"eom", config_read_duration, AT(eom_ns), NULL},
	{"quit", config_read_duration, AT(quit_ns), NULL},
	{"idle", config_read_duration, AT(idle_ns), NULL},
	{"connections", read_connections, AT(connections_total), NULL},
	{"chunking", read_chunking, AT(chunking), NULL},
	{"port", read_port, AT(port), NULL},
	{NULL, NULL, 0, NULL},
};

/* RFC 5321, 4.5.3.2, but for connect, quit and idle. */
void config_delivery_defaults(struct config *c)
{
	c->delivery.connect_ns = 30 * NS_PER_S;
	c->delivery.greeting_ns = 300 * NS_PER_S;
	c->delivery.data_ns = 180 * NS_PER_S;
	c->delivery.eom_ns = 600 * NS_PER_S;
	c->delivery.quit_ns = 5 * NS_PER_S;
	c->delivery.idle_ns = 10 * NS_PER_S;
	c->delivery.connections_total = 2000;
	c->delivery.port = 25;
}

static void timeout_complete(uint64_t *ns, uint64_t command_ns,
			     uint64_t default_ns)
{
	if (*ns == 0)
		*ns = command_ns != 0 ? command_ns : default_ns;
}

void config_delivery_complete(struct config *c)
{
	uint64_t command_ns = c->delivery.command_ns;

	timeout_complete(&c->delivery.ehlo_ns, command_ns, 300 * NS_PER_S);
	timeout_complete(&c->delivery.mail_ns, command_ns, 300 * NS_PER_S);
	timeout_complete(&c->delivery.rcpt_ns, command_ns, 300 * NS_PER_S);
	timeout_complete(&c->delivery.data_command_ns, command_ns,
			 120 * NS_PER_S);
}
