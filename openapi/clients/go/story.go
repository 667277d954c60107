// The story of a client in Go: what an integration does with Billwire, by the generated client alone. It prints one JSON object.
//
// BILLWIRE_URL and BILLWIRE_API_KEY say where and as whom.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	billwire "billwire.example/billwire/client-go"
)

func must[T any](value T, _ any, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		var api *billwire.GenericOpenAPIError
		if errors.As(err, &api) {
			fmt.Fprintln(os.Stderr, string(api.Body()))
		}
		os.Exit(1)
	}
	return value
}

// problemOf gives the typed problem of a refused call, or nil.
func problemOf(err error) *billwire.Problem {
	var api *billwire.GenericOpenAPIError
	if !errors.As(err, &api) {
		return nil
	}
	problem, ok := api.Model().(billwire.Problem)
	if !ok {
		return nil
	}
	return &problem
}

// eachAccount goes through all pages of listAccounts, until visit gives false.
func eachAccount(ctx context.Context, client *billwire.APIClient, pageSize int32, visit func(billwire.Account) bool) error {
	call := client.AccountsAPI.ListAccounts(ctx).Limit(pageSize)
	for {
		page, _, err := call.Execute()
		if err != nil {
			return err
		}
		for _, account := range page.Items {
			if !visit(account) {
				return nil
			}
		}
		if page.NextCursor == nil {
			return nil
		}
		call = call.Cursor(*page.NextCursor)
	}
}

func main() {
	configuration := billwire.NewConfiguration()
	configuration.Servers = billwire.ServerConfigurations{{URL: os.Getenv("BILLWIRE_URL")}}
	client := billwire.NewAPIClient(configuration)
	ctx := context.WithValue(context.Background(), billwire.ContextAccessToken, os.Getenv("BILLWIRE_API_KEY"))
	told := map[string]any{}

	for _, day := range []int32{1, 15} {
		cycle := billwire.NewBillCycleInput(fmt.Sprintf("Go %d", day), "month")
		cycle.SetBillingDay(day)
		cycle.SetExternalId(fmt.Sprintf("go-%d", day))
		must(client.BillCyclesAPI.CreateBillCycle(ctx).BillCycleInput(*cycle).Execute())
	}

	// The same request again, as after a lost answer: it happens once.
	account := billwire.NewAccountInput("go-1", "Acme")
	account.SetCurrency("EUR")
	account.SetExternalId("go-acme")
	create := client.AccountsAPI.CreateAccount(ctx).AccountInput(*account).IdempotencyKey("go-create-acme")
	first, second := must(create.Execute()), must(create.Execute())
	told["once"] = first.Id == second.Id
	told["entity"] = first.Entities[0].Type
	told["name"] = first.Entities[0].After.Name

	change := billwire.NewBillCycleUpdate("go-15")
	change.SetValidFrom(time.Now().Add(48 * time.Hour))
	updated := must(client.AccountsAPI.UpdateAccountBillCycle(ctx, "go-acme").BillCycleUpdate(*change).Execute())
	told["planned"] = updated.Events[1].Type
	// The body is optional, and left out.
	cancelled := must(client.AccountsAPI.CancelAccountBillCycleChange(ctx, "go-acme").Execute())
	told["cancelled"] = cancelled.Events[1].Type

	_, _, err := client.AccountsAPI.UpdateAccountBillCycle(ctx, "go-acme").BillCycleUpdate(*billwire.NewBillCycleUpdate("nowhere")).Execute()
	problem := problemOf(err)
	told["problem"] = map[string]any{"status": problem.Status, "code": problem.Code, "pointer": problem.Errors[0].GetPointer()}

	for n := 0; n < 4; n++ {
		more := billwire.NewAccountInput("go-1", fmt.Sprintf("Branch %d", n))
		more.SetCurrency("EUR")
		must(client.AccountsAPI.CreateAccount(ctx).AccountInput(*more).Execute())
	}
	count := 0
	if err := eachAccount(ctx, client, 2, func(one billwire.Account) bool { count++; return true }); err != nil {
		must(0, nil, err)
	}
	told["accounts"] = count

	charge := billwire.NewChargeableEventInput(*billwire.NewMoneyInput("2.50", "EUR"), time.Now(), "call")
	charge.SetAccount("go-acme")
	charge.SetExternalId("go-call")
	charges := billwire.NewChargeableEventsInput([]billwire.ChargeableEventInput{*charge})
	told["recorded"] = must(client.ChargesAPI.RecordChargeableEvents(ctx).ChargeableEventsInput(*charges).Execute()).Items[0].Status
	adjustment := billwire.NewAdjustmentInput(*billwire.NewMoneyInput("0.50", "EUR"), "CREDIT", "Goodwill")
	adjusted := must(client.ChargesAPI.AdjustChargeableEvent(ctx, "go-call").AdjustmentInput(*adjustment).Execute())
	for _, entity := range adjusted.Entities {
		if charge := entity.ChangedChargeableEvent; charge != nil {
			told["left"] = charge.After.NetAmount.Amount
		}
	}
	found := must(client.ChargesAPI.SearchChargeableEvents(ctx).Account("go-acme").Execute())
	told["net"] = found.Items[0].NetAmount.Amount

	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		os.Exit(1)
	}
}
