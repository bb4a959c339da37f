package main

import (
	"encoding/json"
	"time"
)

// A command as a sender in Go writes it. What is not given is nil, and left out.

type anyCommand struct {
	Type      string         `json:"type"`
	CommandID string         `json:"command_id"`
	Venue     string         `json:"venue"`
	Account   string         `json:"account"`
	NotAfter  time.Time      `json:"not_after"`
	IssuedAt  *time.Time     `json:"issued_at,omitempty"`
	DryRun    bool           `json:"dry_run,omitempty"`
	Params    map[string]any `json:"params,omitempty"`
}

type closeCommand struct {
	anyCommand
	Symbol      string  `json:"symbol"`
	PositionID  *string `json:"position_id,omitempty"`
	Side        *string `json:"side,omitempty"`
	Size        *string `json:"size,omitempty"`
	OrderType   string  `json:"order_type,omitempty"`
	Price       *string `json:"price,omitempty"`
	TimeInForce *string `json:"time_in_force,omitempty"`
}

type cancelCommand struct {
	anyCommand
	Symbol          *string `json:"symbol,omitempty"`
	OrderID         *string `json:"order_id,omitempty"`
	TargetCommandID *string `json:"target_command_id,omitempty"`
	AwaitFinal      bool    `json:"await_final,omitempty"`
}

type allCommand struct {
	anyCommand
	Symbol *string `json:"symbol,omitempty"`
	Side   *string `json:"side,omitempty"`
}

// What comes back. A field that is null or left out is nil.

type reason struct {
	Code      string  `json:"code"`
	VenueCode *string `json:"venue_code"`
	Message   string  `json:"message"`
}

type orderState struct {
	Status       string  `json:"status"`
	Size         *string `json:"size"`
	FilledSize   *string `json:"filled_size"`
	AveragePrice *string `json:"average_price"`
}

type item struct {
	Outcome    string      `json:"outcome"`
	OrderID    *string     `json:"order_id,omitempty"`
	PositionID *string     `json:"position_id,omitempty"`
	Symbol     *string     `json:"symbol,omitempty"`
	Reason     *reason     `json:"reason,omitempty"`
	Order      *orderState `json:"order,omitempty"`
}

type result struct {
	Type          string      `json:"type"`
	ResultID      string      `json:"result_id"`
	Seq           int         `json:"seq"`
	Final         bool        `json:"final"`
	CommandID     *string     `json:"command_id"`
	Action        *string     `json:"action"`
	Venue         *string     `json:"venue"`
	Account       *string     `json:"account"`
	Outcome       string      `json:"outcome"`
	Reason        *reason     `json:"reason"`
	OrderID       *string     `json:"order_id"`
	ClientOrderID *string     `json:"client_order_id"`
	Order         *orderState `json:"order"`
	Evidence      string      `json:"evidence"`
	Attempts      int         `json:"attempts"`
	Duplicate     bool        `json:"duplicate"`
	DryRun        bool        `json:"dry_run"`
	Recorded      *bool       `json:"recorded,omitempty"`
	ReceivedAt    time.Time   `json:"received_at"`
	SentAt        *time.Time  `json:"sent_at"`
	CompletedAt   time.Time   `json:"completed_at"`
	Items         []item      `json:"items,omitempty"`
}

type lastFill struct {
	ExecutionID *string `json:"execution_id"`
	Price       *string `json:"price"`
	Size        *string `json:"size"`
	Fee         *string `json:"fee"`
	FeeAsset    *string `json:"fee_asset"`
	PositionID  *string `json:"position_id"`
}

type orderEvent struct {
	Type          string          `json:"type"`
	EventID       string          `json:"event_id"`
	Venue         string          `json:"venue"`
	Account       string          `json:"account"`
	Seq           int             `json:"seq"`
	OrderID       string          `json:"order_id"`
	ClientOrderID *string         `json:"client_order_id"`
	CommandID     *string         `json:"command_id"`
	Symbol        *string         `json:"symbol"`
	Side          *string         `json:"side"`
	OrderType     *string         `json:"order_type"`
	TimeInForce   *string         `json:"time_in_force"`
	Status        string          `json:"status"`
	Price         *string         `json:"price"`
	Size          *string         `json:"size"`
	FilledSize    string          `json:"filled_size"`
	LastFill      *lastFill       `json:"last_fill"`
	CancelReason  *string         `json:"cancel_reason"`
	VenueTime     *string         `json:"venue_time"`
	ReceivedAt    time.Time       `json:"received_at"`
	Source        string          `json:"source"`
	Raw           json.RawMessage `json:"raw"`
}

type feedStatus struct {
	Type    string    `json:"type"`
	Venue   string    `json:"venue"`
	Account string    `json:"account"`
	Status  string    `json:"status"`
	Since   time.Time `json:"since"`
	Reason  string    `json:"reason"`
	Orders  []string  `json:"orders"`
}

type alert struct {
	Type       string    `json:"type"`
	AlertID    string    `json:"alert_id"`
	Code       string    `json:"code"`
	Severity   string    `json:"severity"`
	Venue      *string   `json:"venue"`
	Account    *string   `json:"account"`
	CommandIDs []string  `json:"command_ids"`
	Count      int       `json:"count"`
	Message    string    `json:"message"`
	Resolved   bool      `json:"resolved"`
	Since      time.Time `json:"since"`
	At         time.Time `json:"at"`
}

// newMessage returns where a message of a type is decoded to, or nil.
func newMessage(kind string) any {
	switch kind {
	case "close":
		return &closeCommand{}
	case "cancel":
		return &cancelCommand{}
	case "close_all", "cancel_all":
		return &allCommand{}
	case "result":
		return &result{}
	case "order_event":
		return &orderEvent{}
	case "feed_status":
		return &feedStatus{}
	case "alert":
		return &alert{}
	}
	return nil
}
