//! Contracts, packages, services, usage and webhook endpoints.

use super::Facts;

pub(super) const FACTS: &[Facts] = &[
    Facts(
        "contract.under_commit",
        "{{ account.name }} is below its contract commitment",
        "The period of contract {{ contract.name }} has ended with less spend than committed.",
        &[
            ("Account", "account.name"),
            ("Contract", "contract.name"),
            ("Period begins on", "contract.periodStart"),
            ("Period ends on", "contract.periodEnd"),
            ("Commitment", "contract.commit"),
            ("Spent", "contract.spend"),
            ("Shortfall", "contract.shortfall"),
        ],
    ),
    Facts(
        "package.status_changed",
        "{{ package.name }} is now {{ package.status }}",
        "The package {{ package.name }} of {{ account.name }} is now {{ package.status }}.",
        PACKAGE,
    ),
    Facts(
        "package.cancelled",
        "{{ package.name }} was cancelled",
        "The package {{ package.name }} of {{ account.name }} was cancelled.",
        PACKAGE,
    ),
    Facts(
        "package.status_change_planned",
        "{{ package.name }} will be {{ package.plannedStatus }}",
        "The package {{ package.name }} of {{ account.name }} will be {{ package.plannedStatus }}.",
        &[
            ("Account", "account.name"),
            ("Package", "package.name"),
            ("Status", "package.status"),
            ("Next status", "package.plannedStatus"),
            ("From", "package.plannedStatusFrom"),
        ],
    ),
    Facts(
        "package.status_change_cancelled",
        "{{ package.name }} keeps its status",
        "The planned change of status of package {{ package.name }} of {{ account.name }} was cancelled.",
        PACKAGE,
    ),
    Facts(
        "service.state_change_planned",
        "{{ service.name|default('A service') }} will be {{ service.plannedStatus }}",
        "A service of {{ account.name }} will be {{ service.plannedStatus }}.",
        &[
            ("Account", "account.name"),
            ("Service", "service.name"),
            ("Status", "service.status"),
            ("Next status", "service.plannedStatus"),
            ("From", "service.plannedStatusFrom"),
        ],
    ),
    Facts(
        "service.state_change_cancelled",
        "{{ service.name|default('A service') }} keeps its status",
        "The planned change of status of a service of {{ account.name }} was cancelled.",
        &[("Account", "account.name"), ("Service", "service.name"), ("Status", "service.status")],
    ),
    Facts(
        "service.state_changed",
        "{{ service.name|default('A service') }} is now {{ service.status }}",
        "A service of {{ account.name }} is now {{ service.status }}.",
        &[
            ("Account", "account.name"),
            ("Service", "service.name"),
            ("Type", "service.type"),
            ("Status", "service.status"),
            ("Previous status", "service.previousStatus"),
            ("Reason", "service.statusReason"),
            ("Package", "package.name"),
        ],
    ),
    Facts(
        "usage_threshold.exceeded",
        "{{ account.name }} has exceeded a threshold of {{ bucket.name }}",
        "The account {{ account.name }} has exceeded a threshold of {{ bucket.name }}.",
        &[
            ("Account", "account.name"),
            ("Allowance", "bucket.name"),
            ("Used", "bucket.used"),
            ("Of", "bucket.size"),
            ("Remaining", "bucket.remaining"),
            ("Unit", "bucket.unit"),
            ("Package", "package.name"),
        ],
    ),
    Facts(
        "usage_identifier.dormant",
        "{{ usageIdentifier.value }} has not been used for {{ usageIdentifier.dormantAfterDays }} days",
        "A usage identifier of {{ account.name }} has not been used for some time.",
        &[
            ("Account", "account.name"),
            ("Usage identifier", "usageIdentifier.value"),
            ("Kind", "usageIdentifier.kind"),
            ("Last used on", "usageIdentifier.lastUsageOn"),
            ("Service", "service.name"),
        ],
    ),
    Facts(
        "chargeable_event.adjusted",
        "A charge of {{ account.name }} was adjusted",
        "A charge of {{ account.name }} was adjusted.",
        &[
            ("Account", "account.name"),
            ("Charge", "chargeableEvent.description"),
            ("Type", "chargeableEvent.type"),
            ("Amount", "chargeableEvent.amount"),
            ("Charged", "chargeableEvent.occurredAt"),
        ],
    ),
    Facts(
        "chargeable_event.reversed",
        "A charge of {{ account.name }} was reversed",
        "A charge of {{ account.name }} was reversed: it is taken back, and so is its usage.",
        &[
            ("Account", "account.name"),
            ("Charge", "chargeableEvent.description"),
            ("Type", "chargeableEvent.type"),
            ("Amount", "chargeableEvent.amount"),
            ("Charged", "chargeableEvent.occurredAt"),
        ],
    ),
    Facts(
        "webhook_endpoint.disabled",
        "The webhook endpoint {{ webhookEndpoint.name }} was disabled",
        "The webhook endpoint {{ webhookEndpoint.name }} no longer receives events. Its events wait; enable the endpoint again when its \
         receiver works again.",
        &[("Endpoint", "webhookEndpoint.name"), ("URL", "webhookEndpoint.url"), ("Reason", "webhookEndpoint.disabledBecause")],
    ),
];

const PACKAGE: &[(&str, &str)] = &[
    ("Account", "account.name"),
    ("Package", "package.name"),
    ("Status", "package.status"),
    ("Reason", "package.statusReason"),
    ("Begins on", "package.startDate"),
    ("Ends on", "package.endDate"),
];
