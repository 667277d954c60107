import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.OffsetDateTime;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Queue;
import net.billwire.ApiClient;
import net.billwire.ApiException;
import net.billwire.api.AccountsApi;
import net.billwire.api.BillCyclesApi;
import net.billwire.api.ChargesApi;
import net.billwire.model.*;

/**
 * The story of a client in Java: what an integration does with Billwire, by the generated client alone. It prints one JSON object.
 * BILLWIRE_URL and BILLWIRE_API_KEY say where and as whom.
 */
public final class Story {
    /** Goes through all pages of listAccounts. */
    private static final class Accounts implements Iterator<Account> {
        private final AccountsApi api;
        private final int pageSize;
        private final Queue<Account> page = new ArrayDeque<>();
        private String cursor;
        private boolean last;

        Accounts(AccountsApi api, int pageSize) {
            this.api = api;
            this.pageSize = pageSize;
        }

        @Override
        public boolean hasNext() {
            while (page.isEmpty() && !last) {
                try {
                    AccountList read = api.listAccounts(null, null, null, null, null, null, null, pageSize, cursor);
                    page.addAll(read.getItems());
                    cursor = read.getNextCursor();
                    last = cursor == null;
                } catch (ApiException error) {
                    throw new IllegalStateException(error);
                }
            }
            return !page.isEmpty();
        }

        @Override
        public Account next() {
            if (!hasNext()) {
                throw new NoSuchElementException();
            }
            return page.remove();
        }
    }

    public static void main(String[] arguments) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(System.getenv("BILLWIRE_URL"));
        String key = System.getenv("BILLWIRE_API_KEY");
        client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + key));
        ObjectMapper json = client.getObjectMapper();
        AccountsApi accounts = new AccountsApi(client);
        ChargesApi charges = new ChargesApi(client);
        Map<String, Object> told = new LinkedHashMap<>();

        for (int day : new int[] {1, 15}) {
            BillCycleInput cycle = new BillCycleInput().name("Java " + day).externalId("java-" + day).billingDay(day);
            new BillCyclesApi(client).createBillCycle(cycle.period(BillCycleInput.PeriodEnum.MONTH), null);
        }

        // The same request again, as after a lost answer: it happens once.
        AccountInput acme = new AccountInput().name("Acme").externalId("java-acme").currency("EUR").billCycle("java-1");
        AccountTransaction first = accounts.createAccount(acme, "java-create-acme");
        AccountTransaction second = accounts.createAccount(acme, "java-create-acme");
        told.put("once", first.getId().equals(second.getId()));
        told.put("entity", first.getEntities().get(0).getType());
        told.put("name", first.getEntities().get(0).getAfter().getName());

        BillCycleUpdate change = new BillCycleUpdate().billCycle("java-15").validFrom(OffsetDateTime.now().plusDays(2));
        told.put("planned", accounts.updateAccountBillCycle("java-acme", change, null, null).getEvents().get(1).getType());
        // The body is optional, and left out.
        told.put("cancelled", accounts.cancelAccountBillCycleChange("java-acme", null, null, null).getEvents().get(1).getType());

        try {
            accounts.updateAccountBillCycle("java-acme", new BillCycleUpdate().billCycle("nowhere"), null, null);
        } catch (ApiException refused) {
            Problem problem = json.readValue(refused.getResponseBody(), Problem.class);
            String pointer = problem.getErrors().get(0).getPointer();
            told.put("problem", Map.of("status", problem.getStatus(), "code", problem.getCode(), "pointer", pointer));
        }

        for (int n = 0; n < 4; n++) {
            accounts.createAccount(new AccountInput().name("Branch " + n).currency("EUR").billCycle("java-1"), null);
        }
        int count = 0;
        for (Iterator<Account> all = new Accounts(accounts, 2); all.hasNext(); all.next()) {
            count++;
        }
        told.put("accounts", count);

        ChargeableEventInput call = new ChargeableEventInput().account("java-acme").externalId("java-call").type("call");
        call.occurredAt(OffsetDateTime.now()).amount(new MoneyInput().amount("2.50").currency("EUR"));
        BulkResult recorded = charges.recordChargeableEvents(new ChargeableEventsInput().items(List.of(call)), null);
        told.put("recorded", recorded.getItems().get(0).getStatus());
        AdjustmentInput goodwill = new AdjustmentInput().amount(new MoneyInput().amount("0.50").currency("EUR")).reason("Goodwill");
        AdjustChargeableEventTransaction adjusted =
            charges.adjustChargeableEvent("java-call", goodwill.chargeType(AdjustmentInput.ChargeTypeEnum.CREDIT), null, null);
        for (AdjustChargeableEventEntity entity : adjusted.getEntities()) {
            if (entity.getActualInstance() instanceof ChangedChargeableEvent charge) {
                told.put("left", charge.getAfter().getNetAmount().getAmount());
            }
        }
        ChargeableEventList found =
            charges.searchChargeableEvents("java-acme", null, null, null, null, null, null, null, null, null, null, null);
        told.put("net", found.getItems().get(0).getNetAmount().getAmount());

        System.out.println(json.writeValueAsString(told));
    }
}
