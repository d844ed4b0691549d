/* SPDX-License-Identifier: BSD-2-Clause
 *
 * completion.c - bash completion, printed from the tables of verbs and options.
 *
 * `sluice --bash-completion` at build time; meson installs what it prints.
 */
#include <stdio.h>

#include "cli.h"
#include "sluice/outcome.h"

static void states_print(void)
{
	for (int s = RCPT_WAITING; s <= RCPT_EXPIRED; s++)
		if (rcpt_state_name((uint8_t)s) != NULL && s != RCPT_DELIVERED)
			printf(" %s", rcpt_state_name((uint8_t)s));
}

void completion_print(void)
{
	puts("# bash completion for sluice, made from its own tables\n"
	     "_sluice() {\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]}\n"
	     "\tlocal prev=${COMP_WORDS[COMP_CWORD - 1]} words\n"
	     "\tcase $COMP_CWORD:$prev in");
	fputs("\t1:*) words=\"", stdout);
	for (const struct cli_verb *v = cli_verbs; v->name != NULL; v++)
		printf("%s%s", v == cli_verbs ? "" : " ", v->name);
	fputs("\" ;;\n\t*:--state) words=\"", stdout);
	states_print();
	fputs("\" ;;\n\t*:import) words=\"postfix eml\" ;;\n"
	      "\t*:--*) [[ $cur == -* ]] || return ;;&\n"
	      "\t*) words=\"",
	      stdout);
	for (const struct option *o = cli_options(); o->name != NULL; o++)
		printf("--%s ", o->name);
	puts("\" ;;\n"
	     "\tesac\n"
	     "\tif [[ $cur == -* || $COMP_CWORD -eq 1 || $words != *--* ]]; "
	     "then\n"
	     "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	     "\telse\n"
	     "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	     "\tfi\n"
	     "}\n"
	     "complete -o default -F _sluice sluice");
}
